/* SPDX-License-Identifier: MIT */
#include "response.h"

#include "arena.h"
#include "request.h"
#include "text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
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

/* What jansson writes and Go escapes. None of it occurs outside of strings. */
static const struct {
    const char *from, *to;
} escapes[] = {
    {"<", "\\u003c"},
    {">", "\\u003e"},
    {"&", "\\u0026"},
    {"\xE2\x80\xA8", "\\u2028"},
    {"\xE2\x80\xA9", "\\u2029"},
};

/* Writes at out what the bytes at *from become, and moves *from behind them. */
static size_t respell(char *out, const char **from)
{
    size_t length = 1;

    if (**from == '\\') { /* \n, or \u001F, whose digits Go writes in lower case */
        length = (*from)[1] == 'u' ? 6 : 2;
        for (size_t i = 0; i < length; i++)
            out[i] = (char)(i < 2 ? (*from)[i] : tolower((unsigned char)(*from)[i]));
        *from += length;
        return length;
    }
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
        if (text_starts_with(*from, escapes[i].from)) {
            *from += strlen(escapes[i].from);
            length = strlen(escapes[i].to);
            memcpy(out, escapes[i].to, length);
            return length;
        }
    }
    *out = *(*from)++;
    return 1;
}

char *response_go_json(const json_t *value, struct arena *arena)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    size_t growth = 0, used = 0;

    if (!text)
        return NULL;
    for (const char *c = text; *c; c++) {
        if (strchr("<>&\xE2", *c))
            growth += 5;
    }
    char *out = arena_alloc(arena, strlen(text) + growth + 1);
    for (const char *from = text; out && *from;)
        used += respell(out + used, &from);
    free(text);
    return out;
}

static json_t *envelope(const struct response *response, const struct request *request)
{
    json_t *data = response->data ? json_incref(response->data) : json_null();
    json_t *warnings = response->warnings ? json_incref(response->warnings) : json_null();
    json_t *auth = response->auth ? json_incref(response->auth) : json_null();

    return json_pack("{s:s, s:s, s:b, s:i, s:o, s:n, s:o, s:o, s:s}", //
                     "request_id", request->id,                       //
                     "lease_id", "",                                  //
                     "renewable", 0,                                  //
                     "lease_duration", 0,                             //
                     "data", data,                                    //
                     "wrap_info",                                     //
                     "warnings", warnings,                            //
                     "auth", auth,                                    //
                     "mount_type", response->mount_type);
}

/* The envelope behind the keys of data. */
static json_t *repeat(const json_t *data, json_t *enveloped)
{
    json_t *both = enveloped ? json_copy((json_t *)data) : NULL;

    if (!both || json_object_update(both, enveloped) != 0) {
        json_decref(both);
        both = NULL;
    }
    json_decref(enveloped);
    return both;
}

static json_t *success(const struct response *response, const struct request *request)
{
    if (response->is_bare)
        return json_incref(response->data);
    json_t *enveloped = envelope(response, request);
    return response->repeats ? repeat(response->data, enveloped) : enveloped;
}

/* No text: {"errors":[]}. */
static json_t *errors(const struct error *err)
{
    return *err->text ? json_pack("{s:[s]}", "errors", err->text)
                      : json_pack("{s:[]}", "errors");
}

/* The body and its newline; NULL: none, or out of memory. */
static const char *body(const json_t *value, struct arena *arena)
{
    char *json = value ? response_go_json(value, arena) : NULL;

    return json ? arena_format(arena, "%s\n", json) : NULL;
}

static bool send(const struct output *output, const char *text)
{
    return output->write(output->context, text, strlen(text));
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

/* X-Vault-Namespace comes back as it was sent, whatever the status; where request->named is
 * set, request.c saw that it is letters, digits and a few signs. */
static void send_headers(const struct output *output, unsigned status,
                         const struct request *request, size_t length)
{
    const char *namespace = request->parameters.namespace;
    char line[96];

    text_format(line, sizeof line, "Status: %u %s\r\n", status, reason_of(status));
    send(output, line);
    send(output, "Content-Type: application/json\r\n"
                 "Cache-Control: no-store\r\n"
                 "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n");
    if (request->named && namespace && *namespace) {
        send(output, "X-Vault-Namespace: ");
        send(output, namespace);
        send(output, "\r\n");
    }
    if (status == 503)
        send(output, "Retry-After: 1\r\n");
    if (status != 204) {
        text_format(line, sizeof line, "Content-Length: %zu\r\n", length);
        send(output, line);
    }
    send(output, "\r\n");
}

unsigned response_send(const struct response *response, const struct request *request,
                       const struct error *err, struct arena *arena,
                       const struct output *output)
{
    bool failed = err->code != ERROR_NONE;
    bool empty = !failed && !response->data && !response->auth && !response->warnings;
    unsigned status = failed             ? error_status(err->code)
                      : response->status ? response->status
                      : empty            ? 204
                                         : 200;
    json_t *value = failed ? errors(err) : empty ? NULL : success(response, request);
    const char *text = body(value, arena);

    json_decref(value);
    if (!text && !empty) { /* out of memory: what needs none */
        status = 503;
        text = "{\"errors\":[\"out of memory\"]}\n";
    }
    send_headers(output, status, request, text ? strlen(text) : 0);
    if (text)
        send(output, text);
    return status;
}
