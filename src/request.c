/* SPDX-License-Identifier: MIT
 *
 * The order of the checks is Vault's (http/handler.go, http/logical.go), and request_parse()
 * is its list: what a client learns first must not depend on who answers.
 */
#include "request.h"

#include "arena.h"
#include "body.h"
#include "duration.h"
#include "namespace_path.h"
#include "secret.h"
#include "text.h"
#include "utf8.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The one path at which an encoded question mark begins the query all the same: Terraform's
 * provider escapes its own. Vault answers it with 404. */
static const char filtered_collection[] = "sys/plugins/runtimes/catalog?type=";

static const struct {
    const char *name;
    size_t length; /* of the name */
    size_t offset;
    bool is_loose;
} table[] = {
#define X(name, member) {#name, sizeof #name - 1, offsetof(struct parameters, member), false},
    REQUEST_PARAMETERS(X)
#undef X
#define X(name, member) {#name, sizeof #name - 1, offsetof(struct parameters, member), true},
    REQUEST_LOOSE_HEADERS(X)
#undef X
};

/* HTTP_X_VAULT_TOKEN → X-Vault-Token, as it is written. */
static void header_name(char *out, size_t size, const char *parameter)
{
    bool first = true;

    text_format(out, size, "%s", parameter + strlen("HTTP_"));
    for (; *out; out++) {
        *out = (char)(*out == '_' ? '-' : first ? *out : tolower((unsigned char)*out));
        first = *out == '-';
    }
}

/* Once, and without control bytes, which nginx lets through and no log nor echo may show. */
static bool check_parameter(const char *name, bool repeated, const char *value,
                            struct error *err)
{
    char header[64];

    if (!text_starts_with(name, "HTTP_"))
        return !repeated ||
               error_set(err, ERROR_MISCONFIGURED, "the web server sends %s twice", name);
    const char *c = value;
    while ((unsigned char)*c >= 0x20 && *c != 0x7F)
        c++;
    if (!repeated && !*c)
        return true;
    header_name(header, sizeof header, name);
    return error_set(err, ERROR_BAD_REQUEST,
                     repeated ? "header %s: sent more than once"
                              : "header %s: control characters are not allowed",
                     header);
}

static bool collect_parameters(struct parameters *parameters, char *const *environment,
                               struct error *err)
{
    for (; *environment; environment++) {
        const char *equals = strchr(*environment, '=');
        size_t length = equals ? (size_t)(equals - *environment) : 0;
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
            if (table[i].length != length || memcmp(*environment, table[i].name, length) != 0)
                continue;
            const char **value = (const char **)((char *)parameters + table[i].offset);
            if (table[i].is_loose && *value)
                continue;
            if (!table[i].is_loose &&
                !check_parameter(table[i].name, *value, equals + 1, err))
                return false;
            *value = equals + 1;
        }
    }
    return true;
}

/* nginx's $request_id is 32 hexadecimal digits; a UUID has the same with four hyphens. */
static bool set_id(struct request *request)
{
    const char *id = request->parameters.request_id;
    size_t used = 0;

    for (size_t i = 0; id && i < 32; i++) {
        if (text_hex_value(id[i]) < 0)
            return secret_uuid(request->id);
        if (i == 8 || i == 12 || i == 16 || i == 20)
            request->id[used++] = '-';
        request->id[used++] = id[i];
    }
    if (!id || id[32] != '\0')
        return secret_uuid(request->id);
    request->id[used] = '\0';
    return true;
}

static bool set_namespaces(struct request *request, struct arena *arena, struct error *err)
{
    const struct parameters *parameters = &request->parameters;

    if (!parameters->site)
        return error_set(err, ERROR_MISCONFIGURED,
                         "the web server did not send RUNTIME_CATALOG_NAMESPACE; a location "
                         "that sets a parameter must include them all");
    request->site = namespace_path_read("RUNTIME_CATALOG_NAMESPACE", ERROR_MISCONFIGURED,
                                        parameters->site, arena, err);
    if (!request->site)
        return false;
    request->named = namespace_path_read("header X-Vault-Namespace", ERROR_BAD_REQUEST,
                                         parameters->namespace ? parameters->namespace : "",
                                         arena, err);
    return request->named != NULL;
}

/* X-Vault-Token, and if that is empty a bearer token. nginx from 1.23 on joins headers of one
 * name with ", ", which no token contains. */
static bool set_token(struct request *request, struct error *err)
{
    static const char bearer[] = "Bearer ";
    const char *header = "X-Vault-Token", *token = request->parameters.token;
    const char *authorization = request->parameters.authorization;

    if ((!token || !*token) && authorization && text_starts_with(authorization, bearer)) {
        header = "Authorization";
        token = authorization + strlen(bearer) + strspn(authorization + strlen(bearer), " ");
    }
    if (!token || !*token)
        return true;
    if (strlen(token) > REQUEST_TOKEN_MAX)
        return error_set(err, ERROR_HEADER_TOO_LARGE,
                         "authentication token exceeds maximum allowed header size of %d bytes",
                         REQUEST_TOKEN_MAX);
    if (strchr(token, ','))
        return error_set(err, ERROR_BAD_REQUEST, "header %s: sent more than once", header);
    request->token = token;
    return true;
}

/* Response wrapping is not offered, and what is not offered must not look done. 0 is none. */
static bool check_wrapping(const struct request *request, struct error *err)
{
    const char *ttl = request->parameters.wrap_ttl;
    int64_t ns;

    if (!ttl || !*ttl)
        return true;
    bool negative = *ttl == '-';
    ttl += negative || *ttl == '+';
    if (!*ttl || !duration_parse(ttl, &ns))
        return error_set(err, ERROR_BAD_REQUEST,
                         "error parsing X-Vault-Wrap-TTL header: must be a number of seconds "
                         "or a duration such as 1h30m");
    if (ns == 0)
        return true;
    if (negative)
        return error_set(err, ERROR_BAD_REQUEST,
                         "error parsing X-Vault-Wrap-TTL header: requested wrap ttl cannot be "
                         "negative");
    return error_set(err, ERROR_BAD_REQUEST,
                     "header X-Vault-Wrap-TTL: response wrapping is not offered");
}

/* Overrides what Sentinel says, of which there is none here: only its spelling counts. */
static bool check_override(const struct request *request, struct error *err)
{
    const char *text = request->parameters.policy_override;
    bool ignored;

    return !text || !*text || text_parse_bool(text, &ignored) ||
           error_set(err, ERROR_BAD_REQUEST,
                     "failed to parse X-Vault-Policy-Override header: must be true or false");
}

static void set_address(struct request *request)
{
    const char *address = request->parameters.remote_address;
    unsigned char binary[sizeof(struct in6_addr)];

    if (address && (inet_pton(AF_INET, address, binary) == 1 ||
                    inet_pton(AF_INET6, address, binary) == 1))
        request->address = address;
}

/* Decodes %XX, and '+' as a space in a query. NULL: malformed, a NUL, or out of memory, with
 * *err. */
static char *decode(const char *what, const char *text, size_t length, bool is_query,
                    struct arena *arena, struct error *err)
{
    char *out = arena_alloc(arena, length + 1);
    size_t used = 0;

    if (!out) {
        error_exhausted(err);
        return NULL;
    }
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '%') {
            bool whole = length - i > 2;
            int high = whole ? text_hex_value(text[i + 1]) : -1;
            int low = whole ? text_hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0 || high + low == 0) {
                error_set(err, ERROR_BAD_REQUEST,
                          "%s: a '%%' must be followed by two hexadecimal digits, not 00", what);
                return NULL;
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && is_query) {
            c = ' ';
        }
        out[used++] = c;
    }
    if (!utf8_valid(out)) {
        error_set(err, ERROR_BAD_REQUEST, "%s: not valid UTF-8", what);
        return NULL;
    }
    return out;
}

/* REQUEST_URI without its query, decoded once. NULL: malformed, with a character that does not
 * show (Vault: unicode.IsPrint of Go), or out of memory, with *err. */
static char *decode_path(const struct request *request, struct arena *arena, struct error *err)
{
    const char *uri = request->parameters.uri ? request->parameters.uri : "";
    size_t length = strcspn(uri, "?");

    if (length > REQUEST_PATH_MAX) {
        error_set(err, ERROR_BAD_REQUEST, "path: %d bytes at most", REQUEST_PATH_MAX);
        return NULL;
    }
    char *path = decode("path", uri, length, false, arena, err);
    if (path && !utf8_printable(path)) {
        error_set(err, ERROR_BAD_REQUEST, "path: control characters are not allowed");
        return NULL;
    }
    return path;
}

bool request_path_is_canonical(const char *path)
{
    for (const char *segment = path; segment;) {
        size_t length = strcspn(segment, "/");
        bool dots = (length == 1 || length == 2) && strncmp(segment, "..", length) == 0;
        bool last = segment[length] == '\0';
        if (dots || (length == 0 && !last))
            return false;
        segment = last ? NULL : segment + length + 1;
    }
    return true;
}

/* Moves the namespace that the path begins with, if it does, behind the one of the header. */
static bool take_namespace(struct request *request, char **path, struct arena *arena,
                           struct error *err)
{
    size_t length = namespace_path_length(*path);

    if (length == 0)
        return true;
    const char *joined = arena_format(arena, "%s%.*s", request->named, (int)length, *path);

    if (!joined)
        return error_exhausted(err);
    const char *named = namespace_path_read("path, as far as it is a namespace",
                                            ERROR_BAD_REQUEST, joined, arena, err);
    if (!named)
        return false;
    request->named = named;
    *path += length;
    return true;
}

/* Sets request->path, and the undecoded queries: the usual one, and the one behind an encoded
 * question mark. nginx chose the location by DOCUMENT_URI: what it let through must be what is
 * answered. */
static bool set_path(struct request *request, char *path, const char *queries[static 2],
                     struct arena *arena, struct error *err)
{
    const char *document_uri = request->parameters.document_uri;
    const char *query = strchr(request->parameters.uri ? request->parameters.uri : "", '?');
    bool is_v1 = text_starts_with(path, "/v1/");
    bool canonical = *path != '/' || request_path_is_canonical(path + 1);

    if (!canonical || (is_v1 && (!document_uri || strcmp(path, document_uri) != 0)))
        return error_set(err, ERROR_BAD_REQUEST,
                         "path: must be canonical, without //, /./ and /../");
    if (!is_v1)
        return error_set(err, ERROR_NOT_FOUND, "%s", "");
    queries[0] = query ? query + 1 : "";
    queries[1] = "";
    path += strlen("/v1/");
    if (!take_namespace(request, &path, arena, err))
        return false;
    if (text_starts_with(path, filtered_collection)) {
        char *mark = path + strcspn(path, "?");
        queries[1] = mark + 1;
        *mark = '\0';
    }
    request->path = path;
    return true;
}

/* Adds a value to data: a second value of one name makes a list. */
static bool add_value(json_t *data, const char *name, const char *value)
{
    json_t *before = json_object_get(data, name);

    if (!before)
        return json_object_set_new(data, name, json_string(value)) == 0;
    if (json_is_array(before))
        return json_array_append_new(before, json_string(value)) == 0;
    return json_object_set_new(data, name, json_pack("[O, s]", before, value)) == 0;
}

/* What is "query" or "form". */
static bool parse_pairs(json_t *data, const char *what, const char *text, struct arena *arena,
                        struct error *err)
{
    while (*text) {
        size_t length = strcspn(text, "&");
        size_t name_length = strcspn(text, "=&");
        if (length > 0) {
            size_t value_at = name_length < length ? name_length + 1 : length;
            const char *name = decode(what, text, name_length, true, arena, err);
            const char *value =
                name ? decode(what, text + value_at, length - value_at, true, arena, err) : NULL;
            if (!value)
                return false;
            if (!add_value(data, name, value))
                return error_exhausted(err);
        }
        text += length + (text[length] == '&');
    }
    return true;
}

enum source { SOURCE_NONE, SOURCE_QUERY, SOURCE_BODY };

static const struct method {
    const char *name;
    enum operation operation;
    enum source source; /* of the request's data */
} methods[] = {
    {"GET", OPERATION_READ, SOURCE_QUERY},
    {"LIST", OPERATION_LIST, SOURCE_QUERY},
    {"POST", OPERATION_UPDATE, SOURCE_BODY},
    {"PUT", OPERATION_UPDATE, SOURCE_BODY},
    {"PATCH", OPERATION_PATCH, SOURCE_BODY},
    {"DELETE", OPERATION_DELETE, SOURCE_QUERY},
    {"RECOVER", OPERATION_RECOVER, SOURCE_BODY},
    {"HELP", OPERATION_HELP, SOURCE_NONE},
    {"HEAD", OPERATION_NONE, SOURCE_QUERY},
    {"OPTIONS", OPERATION_NONE, SOURCE_NONE},
    {NULL, OPERATION_NONE, SOURCE_NONE}, /* any other */
};

static const struct method *find_method(const struct request *request)
{
    const char *name = request->parameters.method ? request->parameters.method : "";
    const struct method *method = methods;

    while (method->name && strcmp(name, method->name) != 0)
        method++;
    return method;
}

static bool check_method(const struct request *request, const struct method *method,
                         struct error *err)
{
    const char *snapshot = request->parameters.recover_snapshot_id;

    if (!method->name)
        return error_set(err, ERROR_UNSUPPORTED_OPERATION, "%s", "");
    if (method->operation == OPERATION_RECOVER && (!snapshot || !*snapshot))
        return error_set(err, ERROR_BAD_REQUEST, "missing required snapshot ID");
    return true;
}

/* The first value of a query parameter, as Go's url.Values.Get has it; NULL: not given. */
static const char *query_value(const struct request *request, const char *name)
{
    json_t *value = NULL;

    if (json_object_size(request->data) > 0)
        value = json_object_get(request->data, name);
    return json_string_value(json_is_array(value) ? json_array_get(value, 0) : value);
}

/* Whether it is help that is asked for: by the method HELP, or ?help= with any other. The
 * parameter is never data. */
static bool take_help(struct request *request, const struct method *method)
{
    const char *help = query_value(request, "help");

    if (method->operation == OPERATION_HELP || (help && *help))
        request->operation = OPERATION_HELP;
    json_object_del(request->data, "help");
    return request->operation == OPERATION_HELP;
}

/* GET with ?list=true is a list. */
static bool apply_list_parameter(struct request *request, struct error *err)
{
    const char *list = query_value(request, "list");
    bool wanted = false;

    if (request->operation != OPERATION_READ || !list)
        return true;
    if (*list && !text_parse_bool(list, &wanted))
        return error_set(err, ERROR_BAD_REQUEST, "query parameter list: must be true or false");
    if (wanted) {
        request->operation = OPERATION_LIST;
        json_object_del(request->data, "list");
    }
    return true;
}

/* A list's path ends in a slash, which is how policies tell it from a read. */
static bool apply_slash(struct request *request, struct arena *arena, struct error *err)
{
    enum operation operation = request->operation;
    size_t length = strlen(request->path);
    bool has_slash = length > 0 && request->path[length - 1] == '/';

    if (operation == OPERATION_LIST && !has_slash) {
        request->path = arena_join(arena, request->path, "/");
        return request->path || error_exhausted(err);
    }
    if (has_slash && (operation == OPERATION_UPDATE || operation == OPERATION_PATCH))
        return error_set(err, ERROR_BAD_REQUEST, "cannot write to a path ending in '/'");
    return true;
}

/* The declared length; a missing or empty CONTENT_LENGTH is none. */
static bool body_length(const struct request *request, size_t max_size, size_t *out,
                        struct error *err)
{
    const char *text = request->parameters.content_length;
    char *end;

    *out = 0;
    if (!text || !*text)
        return true;
    errno = 0;
    unsigned long long length = strtoull(text, &end, 10);
    if (!text_is_digit(*text) || *end)
        return error_set(err, ERROR_BAD_REQUEST, "header Content-Length: must be a number");
    if (errno == ERANGE || length > max_size)
        return error_set(err, ERROR_TOO_LARGE, "http: request body too large");
    *out = (size_t)length;
    return true;
}

static const char blanks[] = " \t\r\n"; /* of JSON */

/* Whether a Content-Type says that the body is a form. Parameters do not matter. */
static bool is_form(const char *type)
{
    static const char form[] = "application/x-www-form-urlencoded";

    if (!type || strncasecmp(type, form, strlen(form)) != 0)
        return false;
    type += strlen(form);
    type += strspn(type, " \t");
    return *type == '\0' || *type == ';';
}

/* The texts of a list as one, with commas. NULL: out of memory. */
static json_t *join(const json_t *list, struct arena *arena)
{
    size_t length = json_array_size(list), used = 0, i;
    const json_t *text;

    json_array_foreach(list, i, text)
        length += json_string_length(text);
    char *joined = arena_alloc(arena, length);
    if (!joined)
        return NULL;
    json_array_foreach(list, i, text)
    {
        if (i > 0)
            joined[used++] = ',';
        memcpy(joined + used, json_string_value(text), json_string_length(text));
        used += json_string_length(text);
    }
    return json_stringn(joined, used);
}

/* The fields of a form; of a repeated one Vault makes one text, with commas. */
static bool parse_form(struct request *request, const char *body, size_t length,
                       struct arena *arena, struct error *err)
{
    const char *name;
    json_t *value;

    if (memchr(body, '\0', length))
        return error_set(err, ERROR_BAD_REQUEST, "form: U+0000 is not allowed");
    if (strchr(body, ';'))
        return error_set(err, ERROR_BAD_REQUEST, "form: a ';' must be written %%3B");
    if (!parse_pairs(request->data, "form", body, arena, err))
        return false;
    json_object_foreach(request->data, name, value)
    {
        if (json_is_array(value) &&
            json_object_iter_set_new(request->data, json_object_key_to_iter(name),
                                     join(value, arena)) != 0)
            return error_exhausted(err);
    }
    return true;
}

/* Whether text is a media type's two words, or one, as Go's mime package takes them. */
static bool is_media_type(const char *text)
{
    size_t slashes = 0;

    for (const char *c = text; *c; c++) {
        slashes += *c == '/';
        if (*c <= 0x20 || *c >= 0x7F || strchr("()<>@,;:\\\"[]?=", *c))
            return false;
    }
    return slashes == 0 || (slashes == 1 && *text != '/' && text[strlen(text) - 1] != '/');
}

static bool check_patch_type(const struct request *request, struct error *err)
{
    const char *sent = request->parameters.content_type;
    char type[256];

    if (request->operation != OPERATION_PATCH)
        return true;
    size_t length = sent ? strcspn(sent, ";") : 0;
    while (length > 0 && strchr(" \t", sent[length - 1]))
        length--;
    if (length == 0)
        return error_set(err, ERROR_BAD_REQUEST, "mime: no media type");
    bool whole = text_format(type, sizeof type, "%.*s", (int)length, sent);
    if (!whole || !is_media_type(type))
        return error_set(err, ERROR_BAD_REQUEST, "mime: not a media type");
    for (char *c = type; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    if (strcmp(type, "application/merge-patch+json") == 0 ||
        strcmp(type, "application/scim+json") == 0)
        return true;
    return error_set(err, ERROR_UNSUPPORTED_MEDIA,
                     "PATCH requires Content-Type of application/merge-patch+json, provided %s",
                     type);
}

/* A body that begins as JSON does must be JSON within the limits, whatever the method and the
 * Content-Type: curl -d says of everything that it is a form. It is data if the method takes
 * its data from there; the body of a read, a list or a delete is otherwise ignored. */
static bool parse_body(struct request *request, enum source source, const struct input *input,
                       size_t max_size, struct arena *arena, struct error *err)
{
    json_auto_t *value = NULL;
    size_t length;

    if (!body_length(request, max_size, &length, err))
        return false;
    char *body = arena_alloc(arena, length + 1);
    if (!body)
        return error_exhausted(err);
    if (input->read(input->context, body, length) != length)
        return error_set(err, ERROR_BAD_REQUEST, "the body ended early");
    size_t start = strspn(body, blanks);
    bool is_json = body[start] == '{' || body[start] == '[';
    if (is_json && !body_parse(&value, body, length, err))
        return false;
    if (source != SOURCE_BODY)
        return true;
    if (!check_patch_type(request, err))
        return false;
    if (start == length)
        return true;
    if (!is_json && is_form(request->parameters.content_type))
        return parse_form(request, body, length, arena, err);
    if (!is_json && !body_parse(&value, body, length, err))
        return false;
    if (json_is_null(value))
        return true;
    if (!json_is_object(value))
        return error_set(err, ERROR_BAD_REQUEST, "failed to parse JSON: must be an object");
    json_decref(request->data);
    request->data = json_incref(value);
    return true;
}

bool request_parse(struct request *request, const struct input *input, size_t max_size,
                   struct arena *arena, struct error *err)
{
    const char *queries[2] = {"", ""};
    char *path;

    *request = (struct request){.data = json_object()};
    bool collected = collect_parameters(&request->parameters, input->environment, err);
    if (!set_id(request) || !request->data)
        return error_exhausted(err);
    set_address(request);
    const struct method *method = find_method(request);
    request->operation = method->operation;

    bool parsed = collected && set_namespaces(request, arena, err) &&
                  (path = decode_path(request, arena, err)) && set_token(request, err) &&
                  set_path(request, path, queries, arena, err) &&
                  parse_pairs(request->data, "query", queries[0], arena, err) &&
                  parse_pairs(request->data, "query", queries[1], arena, err) &&
                  apply_list_parameter(request, err);
    if (!parsed)
        return false;
    bool help = take_help(request, method);
    enum source source = help ? SOURCE_NONE : method->source;
    if (source != SOURCE_QUERY)
        json_object_clear(request->data);
    if (!parse_body(request, source, input, max_size, arena, err))
        return false;
    return help || (check_method(request, method, err) && check_wrapping(request, err) &&
                    check_override(request, err) && apply_slash(request, arena, err));
}

void request_fini(struct request *request)
{
    json_decref(request->data);
    request->data = NULL;
}
