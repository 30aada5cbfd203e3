/* SPDX-License-Identifier: MIT */
#include "handler_capability.h"

#include "arena.h"
#include "authorise.h"
#include "field.h"
#include "handler.h"
#include "policy.h"
#include "request.h"
#include "response.h"
#include "store_token.h"
#include "store_token_api.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

static bool refuse(struct error *err, const char *text)
{
    return error_set(err, ERROR_BAD_REQUEST, "%s", text);
}

/* `paths`, a list or a text with commas, else the older `path`. *paths is ours. */
static bool read_paths(const struct call *call, json_t **paths, struct error *err)
{
    const json_t *data = call->request->data;
    const char *path;

    if (!field_strings(data, "paths", true, paths, err))
        return false;
    if (json_array_size(*paths) > 0)
        return true;
    json_decref(*paths);
    *paths = NULL;
    if (!field_string(data, "path", REQUEST_PATH_MAX, &path, err))
        return false;
    if (!*path)
        return refuse(err, "paths must be supplied");
    *paths = json_pack("[s]", path);
    return *paths || error_exhausted(err);
}

static int by_bytes(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The names of a set of capabilities, sorted. NULL: out of memory. */
static json_t *names_of(unsigned capabilities)
{
    const char *names[16];
    size_t count = 0;
    json_t *list = json_array();
    bool good = list != NULL;

    for (unsigned bit = 1; bit <= CAPABILITY_SUBSCRIBE; bit <<= 1) {
        if (capabilities & bit)
            names[count++] = capability_name((enum capability)bit);
    }
    qsort(names, count, sizeof *names, by_bytes);
    for (size_t i = 0; good && i < count; i++)
        good = json_array_append_new(list, json_string(names[i])) == 0;
    if (good)
        return list;
    json_decref(list);
    return NULL;
}

/* What is said of one path. NULL: out of memory. */
static json_t *capabilities_on(const struct call *call, const struct policy *policy,
                               const char *path)
{
    const char *seen =
        arena_format(call->arena, "%s%s", call->caller->below, path + strspn(path, "/"));

    if (!seen)
        return NULL;
    return policy ? names_of(policy_capabilities(policy, seen)) : json_pack("[s]", "root");
}

/* The answer: each path with its list, and the list of a single one as `capabilities` too, in the
 * order of the keys. policy is NULL for root. */
static bool answer(struct call *call, const json_t *paths, const struct policy *policy,
                   struct error *err)
{
    const char **keys = arena_alloc(call->arena, (json_array_size(paths) + 1) * sizeof *keys);
    json_t *data = json_object(), *path;
    size_t count = 0, i;
    bool good = keys && data;

    json_array_foreach(paths, i, path)
    {
        if (good)
            keys[count++] = json_string_value(path);
    }
    const char *single = count == 1 ? keys[0] : NULL;
    if (single)
        keys[count++] = "capabilities";
    if (good)
        qsort(keys, count, sizeof *keys, by_bytes);
    for (i = 0; good && i < count; i++) {
        bool is_single = single && keys[i] != single;
        json_t *list = capabilities_on(call, policy, is_single ? single : keys[i]);
        good = json_object_set_new(data, keys[i], list) == 0;
    }
    if (!good) {
        json_decref(data);
        return error_exhausted(err);
    }
    call->response->data = data;
    call->response->repeats = true;
    return true;
}

static bool answer_for(struct call *call, const json_t *policies, const char *accessor,
                       struct error *err)
{
    json_auto_t *paths = NULL;
    struct policy *policy = NULL;

    if (!read_paths(call, &paths, err))
        return false;
    if (authorise_is_root(policies))
        return answer(call, paths, NULL, err);
    policy = authorise_compile(policies, accessor, call->arena, err);
    bool answered = policy && answer(call, paths, policy, err);
    policy_free(policy);
    return answered;
}

bool handler_capability_self(struct call *call, struct error *err)
{
    return answer_for(call, call->caller->policies, call->caller->accessor, err);
}

static bool answer_for_target(struct call *call, const struct token_target *target,
                              const char *refusal, struct error *err)
{
    json_auto_t *policies = NULL;

    if (!store_token_api_policies(call->db, call->credential, target, &policies, err))
        return false;
    return policies ? answer_for(call, policies, target->accessor ? target->accessor : "of a token",
                                 err)
                    : refuse(err, refusal);
}

bool handler_capability_token(struct call *call, struct error *err)
{
    struct token_target target = {.token = NULL};

    if (!field_string(call->request->data, "token", REQUEST_TOKEN_MAX, &target.token, err))
        return false;
    if (!*target.token)
        return refuse(err, "no token found");
    return answer_for_target(call, &target, "invalid token", err);
}

bool handler_capability_accessor(struct call *call, struct error *err)
{
    struct token_target target = {.token = NULL};

    if (!field_string(call->request->data, "accessor", REQUEST_TOKEN_MAX, &target.accessor, err))
        return false;
    if (!*target.accessor)
        return refuse(err, "missing accessor");
    return answer_for_target(call, &target, "invalid accessor", err);
}
