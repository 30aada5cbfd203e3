/* SPDX-License-Identifier: MIT */
#include "audit_record.h"

#include "arena.h"
#include "handler.h"
#include "json_text.h"
#include "namespace_path.h"
#include "policy_set.h"
#include "request.h"
#include "response.h"
#include "route.h"
#include "secret.h"
#include "store_caller.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { UNKNOWN_HEADER_MAX = 256 }; /* bytes of a header of whom nobody knows */

static void put_hashed(struct json_text *out, const struct audit_style *style, const char *value,
                       size_t length)
{
    char text[SECRET_HMAC_TEXT + 1];

    if (secret_hmac_text(style->hmac, text, value, length))
        json_text_string(out, text);
    else
        out->failed = true;
}

static void hashed_member(struct json_text *out, const struct audit_style *style,
                          const char *name, const char *value)
{
    if (!value || !*value)
        return;
    json_text_name(out, name);
    put_hashed(out, style, value, strlen(value));
}

static void accessor_member(struct json_text *out, const struct audit_style *style,
                            const char *name, const char *value)
{
    if (style->hmac_accessor)
        hashed_member(out, style, name, value);
    else
        json_text_string_member(out, name, value);
}

/* A value as it is, or with all its strings hashed. */
static void put_value(struct json_text *out, const struct audit_style *style, bool hashed,
                      const json_t *value)
{
    const char *name;
    const json_t *inner;
    size_t i;

    switch (json_typeof(value)) {
    case JSON_OBJECT:
        json_text_open(out, '{');
        json_object_foreach((json_t *)value, name, inner)
        {
            json_text_name(out, name);
            put_value(out, style, hashed, inner);
        }
        json_text_close(out, '}');
        break;
    case JSON_ARRAY:
        json_text_open(out, '[');
        json_array_foreach(value, i, inner)
            put_value(out, style, hashed, inner);
        json_text_close(out, ']');
        break;
    case JSON_STRING:
        if (hashed)
            put_hashed(out, style, json_string_value(value), json_string_length(value));
        else
            json_text_string(out, json_string_value(value));
        break;
    case JSON_INTEGER:
        json_text_integer(out, json_integer_value(value));
        break;
    case JSON_REAL:
        json_text_real(out, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        json_text_boolean(out, json_is_true(value));
        break;
    case JSON_NULL:
        json_text_raw(out, "null", strlen("null"));
        break;
    }
}

static void value_member(struct json_text *out, const struct audit_style *style, bool hashed,
                         const char *name, const json_t *value)
{
    bool empty = !value || json_is_null(value) ||
                 (json_is_object(value) && json_object_size(value) == 0) ||
                 (json_is_array(value) && json_array_size(value) == 0);

    if (empty)
        return;
    json_text_name(out, name);
    put_value(out, style, hashed, value);
}

static void format_time(char out[static 32], time_t seconds)
{
    struct tm utc;

    gmtime_r(&seconds, &utc);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &utc);
}

void audit_record_time(struct json_text *out)
{
    struct timespec now;
    char seconds[32], text[48];

    clock_gettime(CLOCK_REALTIME, &now);
    format_time(seconds, now.tv_sec);
    text_format(text, sizeof text, "%s.%09ldZ", seconds, now.tv_nsec);
    json_text_string_member(out, "time", text);
}

static void put_policies(struct json_text *out, const char *name, const struct policy_set *set)
{
    json_text_name(out, name);
    json_text_open(out, '[');
    for (size_t i = 0; i < policy_set_count(set); i++)
        json_text_string(out, policy_set_name(set, i));
    json_text_close(out, ']');
}

static void put_label(struct json_text *out, const char *name, const char *path, int64_t id)
{
    char label[NAMESPACE_LABEL_SIZE];

    namespace_path_label(label, path, id);
    json_text_string_member(out, name, label);
}

static void put_grantors(struct json_text *out, const struct caller *caller)
{
    const char *path = caller->token_namespace;

    json_text_name(out, "granting_policies");
    json_text_open(out, '[');
    for (size_t i = 0; i < policy_set_count(caller->policies); i++) {
        if (!policy_set_grants(caller->policies, i, &caller->grantors))
            continue;
        json_text_open(out, '{');
        json_text_string_member(out, "name", policy_set_name(caller->policies, i));
        put_label(out, "namespace_id", path, caller->facts.token_namespace_id);
        json_text_string_member(out, "namespace_path", path);
        json_text_string_member(out, "type", "acl");
        json_text_close(out, '}');
    }
    json_text_close(out, ']');
}

/* Only of a path that policies decide about. */
static void put_policy_results(struct json_text *out, const struct call *call, bool allowed)
{
    const struct route *route = call->match->route;

    if (route && route->access != ROUTE_BY_POLICY)
        return;
    json_text_name(out, "policy_results");
    json_text_open(out, '{');
    json_text_name(out, "allowed");
    json_text_boolean(out, allowed);
    if (allowed && call->match->operation != OPERATION_HELP)
        put_grantors(out, call->caller);
    json_text_close(out, '}');
}

static bool is_known(const struct caller *caller)
{
    return caller->known && caller->accessor;
}

/* Of a caller that is not known Vault says no more than this. */
void audit_record_auth(struct json_text *out, const struct audit_style *style,
                       const struct call *call, bool allowed)
{
    const struct caller *caller = call->caller;
    const struct caller_facts *facts = &caller->facts;
    bool known = is_known(caller);

    json_text_open(out, '{');
    if (known) {
        char issued[32];
        json_auto_t *meta = *facts->meta ? json_loads(facts->meta, 0, NULL) : NULL;
        format_time(issued, (time_t)facts->issued_at);
        strcat(issued, "Z");
        accessor_member(out, style, "accessor", caller->accessor);
        hashed_member(out, style, "client_token", call->request->token);
        json_text_string_member(out, "display_name", facts->display_name);
        value_member(out, style, false, "metadata", meta);
        put_policies(out, "policies", caller->policies);
        put_policy_results(out, call, allowed);
        json_text_integer_member(out, "remaining_uses", facts->uses_left);
        put_policies(out, "token_policies", caller->policies);
        json_text_string_member(out, "token_issue_time", issued);
        json_text_integer_member(out, "token_ttl", facts->ttl);
    }
    json_text_string_member(out, "token_type", known ? "service" : "default");
    json_text_close(out, '}');
}

/* The mounts that Vault has in these places. */
static void put_mount(struct json_text *out, const char *path)
{
    static const struct {
        const char *point, *class, *type;
    } mounts[] = {{"auth/token/", "auth", "token"}, {"sys/", "secret", "system"}};

    for (size_t i = 0; path && i < sizeof mounts / sizeof *mounts; i++) {
        if (!text_starts_with(path, mounts[i].point))
            continue;
        json_text_string_member(out, "mount_class", mounts[i].class);
        json_text_string_member(out, "mount_point", mounts[i].point);
        json_text_string_member(out, "mount_type", mounts[i].type);
    }
}

static void put_headers(struct json_text *out, const struct parameters *parameters, bool known)
{
    const struct {
        const char *name, *value;
    } headers[] = {
        {"correlation-id", parameters->correlation_id},
        {"user-agent", parameters->user_agent},
        {"x-correlation-id", parameters->x_correlation_id},
    };

    bool any = false;

    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        if (!headers[i].value || (!known && strlen(headers[i].value) > UNKNOWN_HEADER_MAX))
            continue;
        if (!any) {
            json_text_name(out, "headers");
            json_text_open(out, '{');
        }
        any = true;
        json_text_name(out, headers[i].name);
        json_text_open(out, '[');
        json_text_string(out, headers[i].value);
        json_text_close(out, ']');
    }
    if (any)
        json_text_close(out, '}');
}

/* The namespace that the path is relative to, with the site's in front, as logs have it. */
static void put_namespace(struct json_text *out, const struct call *call)
{
    const struct request *request = call->request;

    if (!request->site || !request->named)
        return;
    const char *path = arena_format(call->arena, "%s%s", request->site, request->named);
    out->failed = out->failed || !path;
    json_text_name(out, "namespace");
    json_text_open(out, '{');
    if (path && (!*path || call->caller->namespace_id > 0))
        put_label(out, "id", path, call->caller->namespace_id);
    json_text_string_member(out, "path", path);
    json_text_close(out, '}');
}

/* A text that is hashed takes 76 bytes, however short it is, and a control byte in a header six:
 * whoever has no token could fill the disk at little cost. So that is left out, other than in
 * Vault. */
void audit_record_request(struct json_text *out, const struct audit_style *style,
                          const struct call *call)
{
    const struct request *request = call->request;
    const char *port = request->parameters.remote_port;
    bool known = is_known(call->caller);

    json_text_open(out, '{');
    hashed_member(out, style, "client_token", request->token);
    accessor_member(out, style, "client_token_accessor", call->caller->accessor);
    value_member(out, style, true, "data", known ? request->data : NULL);
    put_headers(out, &request->parameters, known);
    json_text_string_member(out, "id", request->id);
    put_mount(out, request->path);
    put_namespace(out, call);
    if (request->operation != OPERATION_NONE)
        json_text_string_member(out, "operation", operation_name(request->operation));
    json_text_string_member(out, "path", request->path);
    json_text_string_member(out, "remote_address", request->address);
    json_text_integer_member(out, "remote_port", port ? strtol(port, NULL, 10) : 0);
    json_text_close(out, '}');
}

/* The token that an answer hands out. */
static void put_issued(struct json_text *out, const struct audit_style *style, const json_t *auth)
{
    if (!auth)
        return;
    json_text_name(out, "auth");
    json_text_open(out, '{');
    accessor_member(out, style, "accessor", json_string_value(json_object_get(auth, "accessor")));
    hashed_member(out, style, "client_token",
                  json_string_value(json_object_get(auth, "client_token")));
    value_member(out, style, false, "metadata", json_object_get(auth, "metadata"));
    json_text_integer_member(out, "num_uses",
                             json_integer_value(json_object_get(auth, "num_uses")));
    value_member(out, style, false, "policies", json_object_get(auth, "policies"));
    value_member(out, style, false, "token_policies", json_object_get(auth, "token_policies"));
    json_text_integer_member(out, "token_ttl",
                             json_integer_value(json_object_get(auth, "lease_duration")));
    json_text_string_member(out, "token_type",
                            json_string_value(json_object_get(auth, "token_type")));
    json_text_close(out, '}');
}

/* What lists are called in the answers that have one. */
static bool is_list(const char *name)
{
    static const char *const names[] = {"keys", "key_info", "runtimes", "detailed"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static void put_answer(struct json_text *out, const struct audit_style *style, const json_t *data)
{
    const char *name;
    const json_t *value;

    json_text_name(out, "data");
    json_text_open(out, '{');
    json_object_foreach((json_t *)data, name, value)
    {
        json_text_name(out, name);
        if (style->elide_list_responses && is_list(name) && !json_is_integer(value))
            json_text_integer(out, (int64_t)(json_array_size(value) + json_object_size(value)));
        else
            put_value(out, style, true, value);
    }
    json_text_close(out, '}');
}

/* All that a source says, as one value. NULL: no memory. */
static json_t *read_source(struct source *source)
{
    char *text = malloc(source->length);
    const char *piece;
    size_t used = 0, length = 0;
    struct error ignored;

    while (text && source->next(source, &piece, &length, &ignored) && length > 0) {
        memcpy(text + used, piece, length);
        used += length;
    }
    source->rewind(source);
    json_t *data = text ? json_loadb(text, used, 0, NULL) : NULL;
    free(text);
    return data;
}

/* Vault takes a body without an envelope for data like these. */
static json_t *read_bare(const struct response *response)
{
    const char *type = response->content_type ? response->content_type : "application/json";

    return json_pack("{s:s, s:s%, s:i}", "http_content_type", type, "http_raw_body",
                     response->serialised, response->serialised_length, "http_status_code", 200);
}

/* A list that comes only once, because it is too long to be held, is told by its length, as all are
 * where that is wanted. New; NULL: there is none, or no memory. */
static json_t *data_of(const struct response *response, const struct audit_style *style)
{
    struct source *source = response->source;

    if (source && (!source->rewind || style->elide_list_responses))
        return json_pack("{s:I}", "runtimes", (json_int_t)source->count);
    if (source)
        return read_source(source);
    if (!response->serialised)
        return json_incref(response->data);
    if (response->is_bare)
        return read_bare(response);
    return json_loadb(response->serialised, response->serialised_length, 0, NULL);
}

void audit_record_response(struct json_text *out, const struct audit_style *style,
                           const struct call *call, bool done)
{
    const struct response nothing = {.data = NULL};
    const struct response *response = done ? call->response : &nothing;
    json_auto_t *data = data_of(response, style);

    out->failed = out->failed || ((response->serialised || response->source) && !data);
    json_text_open(out, '{');
    put_issued(out, style, response->auth);
    if (json_object_size(data) > 0)
        put_answer(out, style, data);
    put_mount(out, call->request->path);
    value_member(out, style, false, "warnings", response->warnings);
    json_text_close(out, '}');
}
