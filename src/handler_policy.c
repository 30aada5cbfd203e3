/* SPDX-License-Identifier: MIT */
#include "handler_policy.h"

#include "arena.h"
#include "base64.h"
#include "field.h"
#include "handler.h"
#include "policy.h"
#include "policy_default.h"
#include "policy_names.h"
#include "request.h"
#include "response.h"
#include "route.h"
#include "store_policy_api.h"
#include "text.h"

#include <string.h>

enum { TEXT_BYTES_MAX = 524288 }; /* policy_text_check */

/* The name in the path as it is stored. NULL: out of memory, with *err. */
static const char *stored_name(const struct call *call, struct error *err)
{
    char *copy = arena_strdup(call->arena, call->match->name);

    if (!copy)
        error_exhausted(err);
    return copy ? policy_name_stored(copy) : NULL;
}

/* Stored names, the built-in `default`, and `root` at the end. */
static json_t *names_of(const struct call *call, struct error *err)
{
    json_t *names = policy_names_with_default(call->object.json, true, false, err);

    if (names && json_array_append_new(names, json_string("root")) != 0) {
        json_decref(names);
        error_exhausted(err);
        return NULL;
    }
    return names;
}

bool handler_policy_list(struct call *call, struct error *err)
{
    json_t *names = names_of(call, err);

    if (!names)
        return false;
    call->response->data = json_pack("{s: o}", "keys", names);
    call->response->is_tagged = true;
    return call->response->data || error_exhausted(err);
}

bool handler_policy_list_old(struct call *call, struct error *err)
{
    json_t *names = names_of(call, err);

    if (!names)
        return false;
    call->response->repeats = true;
    call->response->data = json_pack("{s: O, s: o}", "keys", names, "policies", names);
    return call->response->data || error_exhausted(err);
}

static bool read_as(struct call *call, const char *key, struct error *err)
{
    const char *name = stored_name(call, err), *text = json_string_value(call->object.json);

    if (!name)
        return false;
    if (!text && strcmp(name, "default") == 0)
        text = policy_default_text;
    if (strcmp(name, "root") == 0)
        text = "";
    if (!text)
        return error_set(err, ERROR_NOT_FOUND, "%s", "");
    call->response->data = json_pack("{s:s, s:s}", "name", name, key, text);
    call->response->is_tagged = true;
    return call->response->data || error_exhausted(err);
}

bool handler_policy_read(struct call *call, struct error *err)
{
    return read_as(call, "policy", err);
}

bool handler_policy_read_old(struct call *call, struct error *err)
{
    call->response->repeats = true;
    return read_as(call, "rules", err);
}

static bool compiles(const char *name, const char *text, struct error *err)
{
    struct policy *policy =
        policy_compile(&(struct policy_source){name, text, strlen(text)}, 1, err);

    policy_free(policy);
    if (policy)
        return true;
    return policy_refuse(err);
}

/* A text that is base64 from end to end and stands for text becomes that. */
static bool decode_base64(const char **text, struct arena *arena, struct error *err)
{
    char *out = arena_alloc(arena, strlen(*text) + 1);

    if (!out)
        return error_exhausted(err);
    if (base64_decode_text(out, *text))
        *text = out;
    return true;
}

/* The text that the body has, under `policy` or, on the older path, `rules`. All of it in base64
 * is decoded first. */
static bool read_text(struct call *call, bool old, const char **text, struct error *err)
{
    const json_t *data = call->request->data;
    const char *rules;

    if (!field_string(data, "policy", TEXT_BYTES_MAX, text, err) ||
        !field_string(data, "rules", TEXT_BYTES_MAX, &rules, err))
        return false;
    if (old && !**text && *rules) {
        *text = rules;
        if (!response_warn(call->response, err,
                           "'rules' is deprecated, please use 'policy' instead"))
            return false;
    }
    if (!**text)
        return error_set(err, ERROR_BAD_REQUEST, "'policy' parameter not supplied or empty");
    return decode_base64(text, call->arena, err);
}

static bool write_policy(struct call *call, bool old, struct error *err)
{
    const char *name = stored_name(call, err), *text;

    if (!name || !read_text(call, old, &text, err))
        return false;
    if (policy_name_is_fixed(name))
        return error_set(err, ERROR_BAD_REQUEST, "cannot update \"%s\" policy", name);
    if (strcmp(name, call->match->name) != 0 &&
        !response_warn(call->response, err, "policy name was converted to %s", name))
        return false;
    return compiles(name, text, err) &&
           store_policy_api_put(call->db, call->credential, name, text, err);
}

bool handler_policy_write(struct call *call, struct error *err)
{
    return write_policy(call, false, err);
}

bool handler_policy_write_old(struct call *call, struct error *err)
{
    return write_policy(call, true, err);
}

bool handler_policy_delete(struct call *call, struct error *err)
{
    const char *name = stored_name(call, err);

    if (!name)
        return false;
    if (policy_name_is_fixed(name))
        return error_set(err, ERROR_BAD_REQUEST, "cannot delete \"%s\" policy", name);
    if (strcmp(name, "default") == 0)
        return error_set(err, ERROR_BAD_REQUEST, "cannot delete default policy");
    return store_policy_api_delete(call->db, call->credential, name, err);
}
