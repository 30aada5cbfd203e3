/* SPDX-License-Identifier: MIT
 *
 * The request parser. The input is what nginx sends: lines of NAME=value, an empty line, the
 * body. What nginx always sends is added where it is missing: DOCUMENT_URI (the path decoded),
 * CONTENT_LENGTH and RUNTIME_CATALOG_NAMESPACE.
 */
#include "fuzz.h"

#include "arena.h"
#include "body.h"
#include "namespace_path.h"
#include "request.h"
#include "text.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    VARIABLES_MAX = 64,
    INPUT_MAX = 1 << 16,
    BODY_MAX = 4096,
    ARENA_MAX = 4 << 20, /* never used up: what is refused is the input's fault */
};

struct sent {
    char *text;                           /* ours, cut into lines */
    char *environment[VARIABLES_MAX + 4]; /* NULL at the end */
    size_t count;
    char *document_uri;      /* ours: what was added, or NULL */
    char content_length[40]; /* likewise */
    const char *body;
    size_t body_size, body_read;
};

/* ---- the input ---- */

static const char *sent_value(const struct sent *sent, const char *name)
{
    for (size_t i = 0; i < sent->count; i++) {
        if (text_starts_with(sent->environment[i], name) &&
            sent->environment[i][strlen(name)] == '=')
            return sent->environment[i] + strlen(name) + 1;
    }
    return NULL;
}

/* The path as nginx decodes it. */
static char *decoded_path(const char *uri)
{
    char *out = malloc(strlen(uri) + sizeof "DOCUMENT_URI="), *at = out;

    at += sprintf(at, "DOCUMENT_URI=");
    for (; *uri != '\0' && *uri != '?'; uri++) {
        int high = *uri == '%' ? text_hex_value(uri[1]) : -1;
        int low = high >= 0 ? text_hex_value(uri[2]) : -1;
        *at++ = low < 0 ? *uri : (char)(high * 16 + low);
        uri += low < 0 ? 0 : 2;
    }
    *at = '\0';
    return out;
}

static void add_what_is_missing(struct sent *sent)
{
    const char *uri = sent_value(sent, "REQUEST_URI");

    if (uri != NULL && sent_value(sent, "DOCUMENT_URI") == NULL)
        sent->environment[sent->count++] = sent->document_uri = decoded_path(uri);
    if (sent_value(sent, "CONTENT_LENGTH") == NULL) {
        snprintf(sent->content_length, sizeof sent->content_length, "CONTENT_LENGTH=%zu",
                 sent->body_size);
        sent->environment[sent->count++] = sent->content_length;
    }
    if (sent_value(sent, "RUNTIME_CATALOG_NAMESPACE") == NULL)
        sent->environment[sent->count++] = (char *)"RUNTIME_CATALOG_NAMESPACE=";
    sent->environment[sent->count] = NULL;
}

static void cut(struct sent *sent, size_t size)
{
    char *at = sent->text, *end = sent->text + size;

    while (at < end && *at != '\n' && sent->count < VARIABLES_MAX) {
        char *line = at;
        at = memchr(at, '\n', (size_t)(end - at));
        if (at == NULL)
            at = end;
        else
            *at++ = '\0';
        sent->environment[sent->count++] = line;
    }
    sent->body = at < end && *at == '\n' ? at + 1 : at;
    sent->body_size = (size_t)(end - sent->body);
    add_what_is_missing(sent);
}

static size_t read_body(void *context, char *buffer, size_t size)
{
    struct sent *sent = context;
    size_t left = sent->body_size - sent->body_read;

    size = size < left ? size : left;
    memcpy(buffer, sent->body + sent->body_read, size);
    sent->body_read += size;
    return size;
}

/* ---- rules ---- */

static void check_id(const char *id)
{
    FUZZ_REQUIRE(strlen(id) == 36);
    for (size_t i = 0; i < 36; i++)
        FUZZ_REQUIRE(i == 8 || i == 13 || i == 18 || i == 23 ? id[i] == '-'
                                                             : text_hex_value(id[i]) >= 0);
}

static void check_path(const struct request *request)
{
    const char *path = request->path;
    size_t length = strlen(path);
    bool slash = length > 0 && path[length - 1] == '/';

    FUZZ_REQUIRE(utf8_valid(path));
    FUZZ_REQUIRE(length <= REQUEST_PATH_MAX);
    FUZZ_REQUIRE(path[0] != '/' || request->operation == OPERATION_LIST);
    FUZZ_REQUIRE(strstr(path, "//") == NULL);
    for (const unsigned char *at = (const unsigned char *)path; *at != '\0'; at++)
        FUZZ_REQUIRE(*at >= 0x20 && *at != 0x7F && !(at[0] == 0xC2 && at[1] < 0xA0));
    for (const char *at = path; at != NULL; at = strchr(at, '/')) {
        at += *at == '/';
        size_t segment = strcspn(at, "/");
        FUZZ_REQUIRE(!(segment == 1 && at[0] == '.'));
        FUZZ_REQUIRE(!(segment == 2 && at[0] == '.' && at[1] == '.'));
    }
    FUZZ_REQUIRE(request->operation != OPERATION_LIST || slash);
    FUZZ_REQUIRE(!slash || (request->operation != OPERATION_UPDATE &&
                            request->operation != OPERATION_PATCH));
    FUZZ_REQUIRE(namespace_path_length(path) == 0); /* none is left in it */
}

/* Of lists and objects in each other. */
static size_t depth_of(const json_t *value)
{
    size_t deepest = 0, depth, index;
    const char *key;
    json_t *part;

    json_object_foreach((json_t *)value, key, part)
    {
        depth = depth_of(part);
        deepest = depth > deepest ? depth : deepest;
    }
    json_array_foreach(value, index, part)
    {
        depth = depth_of(part);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + (json_is_object(value) || json_is_array(value) ? 1 : 0);
}

static void check_namespace(const char *path)
{
    size_t length = strlen(path);

    FUZZ_REQUIRE(length <= NAMESPACE_PATH_MAX);
    FUZZ_REQUIRE(length == 0 || (path[0] != '/' && path[length - 1] == '/'));
    FUZZ_REQUIRE(strstr(path, "//") == NULL && strstr(path, "/.") == NULL && path[0] != '.');
}

static void check_request(const struct request *request)
{
    check_path(request);
    check_namespace(request->site);
    check_namespace(request->named);
    FUZZ_REQUIRE(json_is_object(request->data));
    FUZZ_REQUIRE(depth_of(request->data) <= BODY_DEPTH_MAX);
    if (request->token == NULL)
        return;
    FUZZ_REQUIRE(request->token[0] != '\0' && strchr(request->token, ',') == NULL);
    FUZZ_REQUIRE(strlen(request->token) <= REQUEST_TOKEN_MAX);
}

static void check_sent(struct sent *sent, struct arena *arena)
{
    struct input input = {sent->environment, read_body, sent};
    struct request request, again;
    struct error err = {0};
    bool parsed = request_parse(&request, &input, BODY_MAX, arena, &err);

    check_id(request.id);
    if (parsed)
        check_request(&request);
    else
        fuzz_check_error(&err);
    sent->body_read = 0;
    FUZZ_REQUIRE(request_parse(&again, &input, BODY_MAX, arena, &err) == parsed);
    if (parsed) {
        FUZZ_REQUIRE(request.operation == again.operation);
        FUZZ_REQUIRE(strcmp(request.path, again.path) == 0);
        FUZZ_REQUIRE(json_equal(request.data, again.data));
    }
    request_fini(&request);
    request_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sent sent = {.text = malloc(size + 1)};
    struct arena *arena = arena_new(ARENA_MAX);

    if (sent.text != NULL && arena != NULL && size <= INPUT_MAX) {
        if (size > 0)
            memcpy(sent.text, data, size);
        sent.text[size] = '\0';
        cut(&sent, size);
        check_sent(&sent, arena);
        free(sent.document_uri);
    }
    arena_free(arena);
    free(sent.text);
    return 0;
}
