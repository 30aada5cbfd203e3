/* SPDX-License-Identifier: MIT */
#include "handler_capability.h"

#include "arena.h"
#include "field.h"
#include "handler.h"
#include "policy.h"
#include "policy_set.h"
#include "request.h"
#include "response.h"
#include "store_caller.h"
#include "store_token_api.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

enum { PATHS_MAX = 1000 }; /* of one request */

static bool refuse(struct error *err, const char *text)
{
    return error_set(err, ERROR_BAD_REQUEST, "%s", text);
}

static bool is_blank(const char *text, size_t length)
{
    return strspn(text, " \t\r\n") >= length;
}

/* Whether one of the paths in a list, or in a text with commas, is empty. */
static bool has_gap(const json_t *paths)
{
    const char *text = json_string_value(paths);
    bool more = text && *text;
    const json_t *path;
    size_t i;

    json_array_foreach(paths, i, path)
    {
        if (is_blank(json_string_value(path), json_string_length(path)))
            return true;
    }
    while (more) {
        size_t length = strcspn(text, ",");
        if (is_blank(text, length))
            return true;
        more = text[length] == ',';
        text += length + 1;
    }
    return false;
}

/* `paths`, else the older `path`: a list or a text with commas. *paths is ours. */
static bool read_paths(const struct call *call, json_t **paths, struct error *err)
{
    static const char *const fields[] = {"paths", "path"};
    const json_t *data = call->request->data;

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (!field_strings(data, fields[i], true, paths, err))
            return false;
        if (has_gap(json_object_get(data, fields[i])))
            return refuse(err, "missing path");
        if (json_array_size(*paths) > PATHS_MAX)
            return refuse(err, "paths: 1000 at most");
        if (json_array_size(*paths) > 0)
            return true;
        json_decref(*paths);
        *paths = NULL;
    }
    return refuse(err, "paths must be supplied");
}

static int by_bytes(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The names of a set of capabilities, sorted. NULL: out of memory. */
static json_t *names_of(unsigned capabilities)
{
    const char *names[16] = {NULL};
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

/* Who is asked about. */
struct subject {
    const struct policy_set *policies;
    const char *accessor; /* for messages */
    const char *below;    /* the request's namespace, relative to the token's */
};

/* What is said of one path. NULL: out of memory. */
static json_t *capabilities_on(const struct call *call, const struct policy *policy,
                               const char *below, const char *path)
{
    const char *seen = arena_format(call->arena, "%s%s", below, path + strspn(path, "/"));

    if (!seen)
        return NULL;
    return policy ? names_of(policy_capabilities(policy, seen)) : json_pack("[s]", "root");
}

/* The answer: each path with its list, and the list of a single one as `capabilities` too, in the
 * order of the keys. policy is NULL for root. */
static bool answer(struct call *call, const json_t *paths, const struct policy *policy,
                   const char *below, struct error *err)
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
        json_t *list = capabilities_on(call, policy, below, is_single ? single : keys[i]);
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

static bool answer_for(struct call *call, const struct subject *subject, struct error *err)
{
    json_auto_t *paths = NULL;

    if (!read_paths(call, &paths, err))
        return false;
    if (policy_set_is_root(subject->policies))
        return answer(call, paths, NULL, subject->below, err);
    const struct policy *policy =
        policy_set_compiled(subject->policies, subject->accessor, err);
    return policy && answer(call, paths, policy, subject->below, err);
}

bool handler_capability_self(struct call *call, struct error *err)
{
    const struct caller *caller = call->caller;
    const struct subject self = {caller->policies, caller->accessor, caller->below};

    return answer_for(call, &self, err);
}

/* Whoever is asked about is at home in the request's namespace, unless it is the caller. */
static bool answer_for_target(struct call *call, const struct token_target *target,
                              const char *refusal, struct error *err)
{
    json_auto_t *policies = NULL;
    bool self = target->accessor ? strcmp(target->accessor, call->caller->accessor) == 0
                                 : strcmp(target->token, call->request->token) == 0;

    if (self)
        return handler_capability_self(call, err);
    if (!store_token_api_policies(call->db, call->credential, target, &policies, err))
        return false;
    if (!policies)
        return refuse(err, refusal);
    struct policy_set *set = policy_set_new(policies, err);
    const struct subject subject = {
        .policies = set,
        .accessor = target->accessor ? target->accessor : "of a token",
        .below = "",
    };
    bool answered = set && answer_for(call, &subject, err);
    policy_set_free(set);
    return answered;
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
