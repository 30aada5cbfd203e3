/* SPDX-License-Identifier: MIT */
#include "response.h"

#include "arena.h"
#include "go_json.h"
#include "request.h"
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
    const char *head;   /* NULL: out of memory */
    const char *middle; /* not terminated */
    size_t middle_length;
    const char *tail;
};

static size_t body_length(const struct body *body)
{
    return strlen(body->head) + body->middle_length + strlen(body->tail);
}

/* The one part of an envelope; NULL: out of memory. */
static const char *part(const json_t *value, struct arena *arena)
{
    return value ? go_json(value, arena) : "null";
}

/* The envelope, data in its middle. Keys in Vault's order. */
static struct body envelope(const struct response *response, const struct request *request,
                            struct arena *arena)
{
    const char *data = response->serialised ? response->serialised : part(response->data, arena);
    const char *warnings = part(response->warnings, arena), *auth = part(response->auth, arena);
    struct body body = {.middle = data};

    if (!data || !warnings || !auth)
        return body;
    body.middle_length = response->serialised ? response->serialised_length : strlen(data);
    body.tail = arena_format(arena,
                             ",\"wrap_info\":null,\"warnings\":%s,\"auth\":%s,"
                             "\"mount_type\":\"%s\"}\n",
                             warnings, auth, response->mount_type);
    if (body.tail)
        body.head = arena_format(arena,
                                 "{\"request_id\":\"%s\",\"lease_id\":\"\",\"renewable\":false,"
                                 "\"lease_duration\":0,\"data\":",
                                 request->id);
    return body;
}

/* A value and the newline behind it. */
static struct body whole(const json_t *value, struct arena *arena)
{
    return (struct body){.head = value ? go_json(value, arena) : NULL, .tail = "\n"};
}

/* The envelope behind the keys of data. */
static struct body repeat(const json_t *data, const struct body *envelope, struct arena *arena)
{
    const char *text = envelope->head ? arena_format(arena, "%s%.*s%s", envelope->head,
                                                     (int)envelope->middle_length,
                                                     envelope->middle, envelope->tail)
                                      : NULL;
    json_auto_t *both = json_copy((json_t *)data);
    json_auto_t *enveloped = text ? json_loads(text, 0, NULL) : NULL;

    if (!enveloped || json_object_update(both, enveloped) != 0)
        return (struct body){.head = NULL};
    return whole(both, arena);
}

static struct body success(const struct response *response, const struct request *request,
                           struct arena *arena)
{
    if (response->is_bare)
        return whole(response->data, arena);
    struct body enveloped = envelope(response, request, arena);
    return response->repeats ? repeat(response->data, &enveloped, arena) : enveloped;
}

/* No text: {"errors":[]}. */
static struct body errors(const struct error *err, struct arena *arena)
{
    json_auto_t *value = *err->text ? json_pack("{s:[s]}", "errors", err->text)
                                    : json_pack("{s:[]}", "errors");

    return whole(value, arena);
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

bool response_is_empty(const struct response *response)
{
    return !response->data && !response->serialised && !response->auth && !response->warnings;
}

unsigned response_send(const struct response *response, const struct request *request,
                       const struct error *err, struct arena *arena,
                       const struct output *output)
{
    static const struct body out_of_memory = {
        .head = "{\"errors\":[\"out of memory\"]}\n",
        .tail = "",
    };
    bool failed = err->code != ERROR_NONE;
    bool empty = !failed && response_is_empty(response);
    unsigned status = failed             ? error_status(err->code)
                      : response->status ? response->status
                      : empty            ? 204
                                         : 200;
    struct body body = {.head = "", .tail = ""};

    if (!empty)
        body = failed ? errors(err, arena) : success(response, request, arena);
    if (!body.head) { /* what needs no memory */
        status = 503;
        body = out_of_memory;
    }
    send_headers(output, status, request, body_length(&body));
    send(output, body.head);
    if (body.middle)
        output->write(output->context, body.middle, body.middle_length);
    send(output, body.tail);
    return status;
}
