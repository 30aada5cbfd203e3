/* SPDX-License-Identifier: MIT */
#include "response.h"

#include "arena.h"
#include "etag.h"
#include "go_json.h"
#include "request.h"
#include "secret.h"
#include "text.h"

#include <stdarg.h>
#include <string.h>

void response_fini(struct response *response)
{
    json_decref(response->data);
    json_decref(response->auth);
    json_decref(response->warnings);
    *response = (struct response){.data = NULL};
}

bool response_warn(struct response *response, struct error *err, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    json_t *text = json_vsprintf(format, arguments);
    va_end(arguments);
    if (!response->warnings)
        response->warnings = json_array();
    return json_array_append_new(response->warnings, text) == 0 || error_exhausted(err);
}

/* A body in pieces, which go out one behind the other: what is kept serialised is not copied. */
struct body {
    struct {
        const char *bytes; /* NULL: the source's */
        size_t length;
    } pieces[11];
    struct source *source;
    size_t data; /* which of them it is that data is in */
    size_t count;
    size_t length; /* of all */
    bool exhausted; /* there was no memory for one of them */
};

static void add_bytes(struct body *body, const char *bytes, size_t length)
{
    body->pieces[body->count].bytes = bytes;
    body->pieces[body->count++].length = length;
    body->length += length;
}

static void add_source(struct body *body, struct source *source)
{
    body->source = source;
    add_bytes(body, NULL, source->length);
}

static void add(struct body *body, const char *text)
{
    if (text)
        add_bytes(body, text, strlen(text));
    else
        body->exhausted = true;
}

/* A value, or null where there is none. */
static void add_value(struct body *body, const json_t *value, struct arena *arena)
{
    add(body, value ? go_json(value, arena) : "null");
}

/* Keys in Vault's order. */
static void add_envelope(struct body *body, const struct response *response,
                         const struct request *request, struct arena *arena)
{
    add(body, "{\"request_id\":\"");
    add(body, request->id);
    add(body, "\",\"lease_id\":\"\",\"renewable\":false,\"lease_duration\":0,\"data\":");
    body->data = body->count;
    if (response->source)
        add_source(body, response->source);
    else if (response->serialised)
        add_bytes(body, response->serialised, response->serialised_length);
    else
        add_value(body, response->data, arena);
    add(body, ",\"wrap_info\":null,\"warnings\":");
    add_value(body, response->warnings, arena);
    add(body, ",\"auth\":");
    add_value(body, response->auth, arena);
    add(body, ",\"mount_type\":\"");
    add(body, response->mount_type);
    add(body, "\"}\n");
}

/* A value and the newline behind it. */
static void add_whole(struct body *body, const json_t *value, struct arena *arena)
{
    add(body, value ? go_json(value, arena) : NULL);
    add(body, "\n");
}

/* The pieces as one value. New; NULL: out of memory. */
static json_t *parse(const struct body *body, struct arena *arena)
{
    char *text = body->exhausted ? NULL : arena_alloc(arena, body->length);
    size_t used = 0;

    for (size_t i = 0; text && i < body->count; i++) {
        memcpy(text + used, body->pieces[i].bytes, body->pieces[i].length);
        used += body->pieces[i].length;
    }
    return text ? json_loadb(text, used, 0, NULL) : NULL;
}

/* The keys of data, and the envelope behind them. */
static void add_repeated(struct body *body, const struct response *response,
                         const struct request *request, struct arena *arena)
{
    struct body envelope = {.count = 0};

    add_envelope(&envelope, response, request, arena);
    json_auto_t *enveloped = parse(&envelope, arena), *both = json_copy(response->data);
    if (!enveloped || json_object_update(both, enveloped) != 0)
        body->exhausted = true;
    else
        add_whole(body, both, arena);
}

static void add_success(struct body *body, const struct response *response,
                        const struct request *request, struct arena *arena)
{
    if (response->is_bare && response->serialised)
        add_bytes(body, response->serialised, response->serialised_length);
    else if (response->is_bare)
        add_whole(body, response->data, arena);
    else if (response->repeats)
        add_repeated(body, response, request, arena);
    else
        add_envelope(body, response, request, arena);
}

/* No text: {"errors":[]}. */
static void add_errors(struct body *body, const struct error *err, struct arena *arena)
{
    json_auto_t *value = *err->text ? json_pack("{s:[s]}", "errors", err->text)
                                    : json_pack("{s:[]}", "errors");

    add_whole(body, value, arena);
}

static bool send(const struct output *output, const char *text)
{
    return output->write(output->context, text, strlen(text));
}

static void send_number(const struct output *output, size_t number)
{
    char digits[24], *first = digits + sizeof digits - 1;

    *first = '\0';
    do
        *--first = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    send(output, first);
}

/* RFC 9110, section 15. nginx passes on what stands here; without it the status line would end
 * too early (RFC 9112, section 4). */
static const struct {
    unsigned status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
};

static const char *reason_of(unsigned status)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Other";
}

/* The ETag's, weak because the envelope around the data has an id that is never the same. */
enum { TAG_HASH = 16, TAG_SIZE = sizeof "W/\"\"" + 2 * TAG_HASH };

/* The tag of the data. False: there is none. */
static bool make_tag(char tag[static TAG_SIZE], const struct response *response,
                     const struct body *body)
{
    unsigned char hash[SECRET_HASH_SIZE];
    const unsigned char *known = response->source ? response->source->hash : NULL;

    if (!response->is_tagged || response->is_bare || response->repeats)
        return false;
    if (!known && !secret_hash(hash, body->pieces[body->data].bytes,
                               body->pieces[body->data].length))
        return false;
    char *next = stpcpy(tag, "W/\"");
    for (size_t i = 0; i < TAG_HASH; i++) {
        unsigned char byte = known ? known[i] : hash[i];
        *next++ = "0123456789abcdef"[byte >> 4];
        *next++ = "0123456789abcdef"[byte & 15];
    }
    strcpy(next, "\"");
    return true;
}

static void send_header(const struct output *output, const char *name, const char *value)
{
    send(output, name);
    send(output, ": ");
    send(output, value);
    send(output, "\r\n");
}

/* X-Vault-Namespace comes back as it was sent, whatever the status; where request->named is
 * set, request.c saw that it is letters, digits and a few signs. A 304 says nothing of the body
 * that it has not. */
static void send_headers(const struct output *output, unsigned status, const char *content_type,
                         const char *tag, const struct request *request, size_t length)
{
    const char *namespace = request->parameters.namespace;

    send(output, "Status: ");
    send_number(output, status);
    send(output, " ");
    send(output, reason_of(status));
    send(output, "\r\n");
    if (status != 304)
        send_header(output, "Content-Type", content_type);
    send(output, "Cache-Control: no-store\r\n"
                 "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n");
    if (tag)
        send_header(output, "ETag", tag);
    if (request->named && namespace && *namespace)
        send_header(output, "X-Vault-Namespace", namespace);
    if (status == 503)
        send(output, "Retry-After: 1\r\n");
    if (status != 204 && status != 304) {
        send(output, "Content-Length: ");
        send_number(output, length);
        send(output, "\r\n");
    }
    send(output, "\r\n");
}

bool response_is_empty(const struct response *response)
{
    return !response->data && !response->serialised && !response->source && !response->auth && !response->warnings;
}

static bool send_source(struct source *source, const struct output *output, struct error *err)
{
    const char *bytes;
    size_t length;

    while (source->next(source, &bytes, &length, err)) {
        if (length == 0)
            return true;
        if (!output->write(output->context, bytes, length))
            return false;
    }
    output->break_off(output->context);
    return false;
}

static void send_body(const struct body *body, const struct output *output, struct error *err)
{
    for (size_t i = 0; i < body->count; i++) {
        if (body->pieces[i].bytes)
            output->write(output->context, body->pieces[i].bytes, body->pieces[i].length);
        else if (!send_source(body->source, output, err))
            return;
    }
}

unsigned response_send(const struct response *response, const struct request *request,
                       struct error *err, struct arena *arena,
                       const struct output *output)
{
    bool failed = err->code != ERROR_NONE;
    bool empty = !failed && response_is_empty(response);
    unsigned status = failed             ? error_status(err->code)
                      : response->status ? response->status
                      : empty            ? 204
                                         : 200;
    const char *type = !failed && response->content_type ? response->content_type : "application/json";
    struct body body = {.count = 0};
    char tag[TAG_SIZE];

    if (failed)
        add_errors(&body, err, arena);
    else if (!empty)
        add_success(&body, response, request, arena);
    if (body.exhausted) { /* what needs no memory */
        status = 503;
        type = "application/json";
        body = (struct body){.count = 0};
        add(&body, "{\"errors\":[\"out of memory\"]}\n");
    }
    bool tagged = status == 200 && make_tag(tag, response, &body);
    if (tagged && etag_is_named(request->parameters.if_none_match, tag)) {
        status = 304;
        body.count = 0;
    }
    send_headers(output, status, type, tagged ? tag : NULL, request, body.length);
    send_body(&body, output, err);
    return status;
}
