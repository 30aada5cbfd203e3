/* SPDX-License-Identifier: MIT */
#include "handler_token.h"

#include "field.h"
#include "handler.h"
#include "request.h"
#include "response.h"
#include "route.h"
#include "store_caller.h"
#include "store_token_api.h"
#include "text.h"
#include "token_auth.h"

#include <string.h>

enum {
    TIDY_BATCH = 100,  /* tokens a statement */
    TIDY_BATCHES = 100, /* a request */
};

static bool refuse(struct error *err, const char *text)
{
    return error_set(err, ERROR_BAD_REQUEST, "%s", text);
}

/* The token that the body names. */
static bool read_token(const struct call *call, const char **token, struct error *err)
{
    return field_string(call->request->data, "token", REQUEST_TOKEN_MAX, token, err);
}

static bool read_named(const struct call *call, struct token_target *target, struct error *err)
{
    return read_token(call, &target->token, err) &&
           (*target->token || refuse(err, "missing token ID"));
}

static bool read_accessor(const struct call *call, struct token_target *target,
                          struct error *err)
{
    return field_string(call->request->data, "accessor", REQUEST_TOKEN_MAX, &target->accessor,
                        err) &&
           (*target->accessor || refuse(err, "missing accessor"));
}

/* Keys that Vault leaves out where there is nothing to say. */
static const char *const optional_keys[] = {
    "bound_cidrs",    "issue_time", "last_renewal", "last_renewal_time",
    "namespace_path", "period",     "renewable",
};

/* Nothing above the site exists: paths begin below it. Null: the site's own namespace. */
static bool hide_site(json_t *description, const char *site)
{
    const char *path = json_string_value(json_object_get(description, "namespace_path"));
    const char *below = path && text_starts_with(path, site) ? path + strlen(site) : path;

    return json_object_set_new(description, "namespace_path",
                               below && *below ? json_string(below) : json_null()) == 0;
}

/* A description as the API has it; id is the token that the client showed. */
static bool answer_with(struct call *call, const json_t *description, const char *id,
                        struct error *err)
{
    json_t *data = json_copy((json_t *)description);

    if (!data || json_object_set_new(data, "id", json_string(id)) != 0 ||
        !hide_site(data, call->request->site)) {
        json_decref(data);
        return error_exhausted(err);
    }
    for (size_t i = 0; i < sizeof optional_keys / sizeof *optional_keys; i++) {
        if (json_is_null(json_object_get(data, optional_keys[i])))
            json_object_del(data, optional_keys[i]);
    }
    call->response->data = data;
    return true;
}

static bool refuse_bad_token(struct error *err)
{
    return error_set(err, ERROR_PERMISSION_DENIED, "bad token");
}

bool handler_token_lookup_self(struct call *call, struct error *err)
{
    if (!call->object.json)
        return refuse_bad_token(err);
    return answer_with(call, call->object.json, call->request->token, err);
}

/* With GET the token would stand in an URL, which logs keep. */
bool handler_token_lookup(struct call *call, struct error *err)
{
    struct token_target target = {.token = NULL};
    json_auto_t *description = NULL;

    if (call->match->operation == OPERATION_READ && json_object_get(call->request->data, "token"))
        return refuse(err, "query parameter token: a token does not belong in a URL; use POST");
    if (!read_token(call, &target.token, err))
        return false;
    if (!*target.token)
        target.token = call->request->token;
    if (!store_token_api_describe(call->db, call->credential, &target, &description, err))
        return false;
    return description ? answer_with(call, description, target.token, err)
                       : refuse_bad_token(err);
}

bool handler_token_lookup_accessor(struct call *call, struct error *err)
{
    struct token_target target = {.token = NULL};
    json_auto_t *description = NULL;

    if (!read_accessor(call, &target, err) ||
        !store_token_api_describe(call->db, call->credential, &target, &description, err))
        return false;
    return description ? answer_with(call, description, "", err) : refuse(err, "invalid accessor");
}

static const char *const renewal_texts[] = {
    [RENEWAL_UNKNOWN] = "token not found",
    [RENEWAL_NO_LEASE] = "invalid lease ID",
    [RENEWAL_EXPIRED] = "lease expired",
    [RENEWAL_NOT_RENEWABLE] = "lease is not renewable",
    [RENEWAL_PAST_MAX] = "past the max TTL, cannot renew",
};

static bool set_auth(struct call *call, const json_t *description, const char *client_token,
                     int64_t ttl, struct error *err)
{
    json_t *meta = json_object_get(description, "meta");

    call->response->auth = token_auth(&(struct token_auth_facts){
        .client_token = client_token,
        .accessor = json_string_value(json_object_get(description, "accessor")),
        .policies = json_object_get(description, "policies"),
        .meta = json_is_null(meta) ? NULL : meta,
        .ttl = ttl,
        .renewable = true,
        .orphan = json_is_true(json_object_get(description, "orphan")),
        .num_uses = json_integer_value(json_object_get(description, "num_uses")),
    });
    return call->response->auth || error_exhausted(err);
}

static bool renew(struct call *call, const struct token_target *target, const char *shown,
                  struct error *err)
{
    json_auto_t *description = NULL;
    struct renewal renewal;
    int64_t increment;

    if (!field_seconds(call->request->data, "increment", &increment, err) ||
        !store_token_api_renew(call->db, call->credential, target, increment, TOKEN_TTL_MAX,
                               &renewal, err))
        return false;
    if (renewal.outcome == RENEWAL_UNKNOWN && target->accessor)
        return refuse(err, "invalid accessor");
    if (renewal.outcome != RENEWAL_DONE)
        return refuse(err, renewal_texts[renewal.outcome]);
    struct token_term term = {.wanted = renewal.wanted,
                              .bound = renewal.ttl < renewal.wanted ? renewal.ttl : renewal.wanted};
    if (!token_auth_warn_capped(call->response, &term, err) ||
        !store_token_api_describe(call->db, call->credential, target, &description, err))
        return false;
    return description ? set_auth(call, description, shown, renewal.ttl, err)
                       : refuse(err, renewal_texts[RENEWAL_UNKNOWN]);
}

bool handler_token_renew_self(struct call *call, struct error *err)
{
    return renew(call, &(struct token_target){.token = NULL}, call->request->token, err);
}

bool handler_token_renew(struct call *call, struct error *err)
{
    struct token_target target = {.token = NULL};

    return read_named(call, &target, err) && renew(call, &target, target.token, err);
}

bool handler_token_renew_accessor(struct call *call, struct error *err)
{
    struct token_target target = {.token = NULL};

    return read_accessor(call, &target, err) && renew(call, &target, "", err);
}

bool handler_token_revoke_self(struct call *call, struct error *err)
{
    bool found;

    return store_token_api_revoke(call->db, call->credential, &(struct token_target){.token = NULL},
                                  false, &found, err);
}

/* That there is no such token is as good. */
bool handler_token_revoke(struct call *call, struct error *err)
{
    struct token_target target = {.token = NULL};
    bool found;

    return read_named(call, &target, err) &&
           store_token_api_revoke(call->db, call->credential, &target, false, &found, err);
}

bool handler_token_revoke_orphan(struct call *call, struct error *err)
{
    struct token_target target = {.token = NULL};
    bool found;

    return read_named(call, &target, err) &&
           store_token_api_revoke(call->db, call->credential, &target, true, &found, err) &&
           (found || refuse(err, "token to revoke not found"));
}

bool handler_token_revoke_accessor(struct call *call, struct error *err)
{
    struct token_target target = {.token = NULL};
    bool found;

    return read_accessor(call, &target, err) &&
           store_token_api_revoke(call->db, call->credential, &target, false, &found, err) &&
           (found || response_warn(call->response, err, "No token found with this accessor"));
}

bool handler_token_list_accessors(struct call *call, struct error *err)
{
    if (json_array_size(call->object.json) == 0)
        return error_set(err, ERROR_NOT_FOUND, "%s", "");
    call->response->data = json_pack("{s: O}", "keys", call->object.json);
    return call->response->data || error_exhausted(err);
}

bool handler_token_tidy(struct call *call, struct error *err)
{
    unsigned count = TIDY_BATCH;

    for (int batch = 0; batch < TIDY_BATCHES && count == TIDY_BATCH; batch++) {
        if (!store_token_api_tidy(call->db, call->credential, TIDY_BATCH, &count, err))
            return false;
    }
    call->response->status = 202;
    return response_warn(call->response, err, "Tokens that had ended were deleted.");
}
