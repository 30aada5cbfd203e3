/* SPDX-License-Identifier: MIT */
#include "authorise.h"

#include "arena.h"
#include "policy.h"
#include "policy_default.h"
#include "policy_names.h"
#include "request.h"
#include "route.h"
#include "store_caller.h"
#include "text.h"

#include <string.h>

/* Bytes of a token's policies: they are compiled for each request. */
enum { TEXT_MAX = 2 * 1024 * 1024 };

static bool deny(struct error *err)
{
    return error_set(err, ERROR_PERMISSION_DENIED, ERROR_TEXT_NOT_ALLOWED);
}

bool authorise_is_root(const json_t *policies)
{
    json_t *first = json_array_get(json_array_get(policies, 0), 0);

    return json_array_size(policies) == 1 && json_is_string(first) &&
           strcmp(json_string_value(first), "root") == 0;
}

/* The text of a stored policy, or of one that is built in; NULL: it does not exist. */
static const char *text_of(const json_t *pair)
{
    const char *text = json_string_value(json_array_get(pair, 1));
    const char *name = json_string_value(json_array_get(pair, 0));

    return !text && strcmp(name, "default") == 0 ? policy_default_text : text;
}

/* Of a token's policies those that exist; one that does not grants nothing until it does. */
struct policy *authorise_compile(const json_t *policies, const char *accessor,
                                 struct arena *arena, struct error *err)
{
    size_t count = 0, total = 0, i;
    json_t *pair;
    struct policy_source *sources = arena_alloc(arena, json_array_size(policies) * sizeof *sources);

    if (!sources) {
        error_exhausted(err);
        return NULL;
    }
    json_array_foreach(policies, i, pair)
    {
        const char *text = text_of(pair);
        total += text ? strlen(text) : 0;
        if (text && total <= TEXT_MAX)
            sources[count++] = (struct policy_source){
                .name = json_string_value(json_array_get(pair, 0)),
                .text = text,
                .length = strlen(text),
            };
    }
    struct policy *policy = NULL;
    if (total <= TEXT_MAX)
        policy = policy_compile(sources, count, err);
    else
        error_set(err, ERROR_BAD_REQUEST, "together more than %d bytes", TEXT_MAX);
    if (!policy && err->code == ERROR_BAD_REQUEST) {
        char fault[ERROR_DETAIL_MAX];
        text_format(fault, sizeof fault, "a policy of accessor %s does not compile: %s", accessor,
                    err->text);
        error_set(err, ERROR_INTERNAL, "internal error");
        memcpy(err->detail, fault, sizeof fault);
    }
    return policy;
}

/* Whether the namespace asked for lies in the token's own tree; the path that policies see is
 * relative to the token's namespace. */
static bool locate(struct caller *caller, const struct request *request,
                   struct arena *arena, const char **path, struct error *err)
{
    const char *target = arena_format(arena, "%s%s", request->site, request->named);

    if (!target)
        return error_exhausted(err);
    if (!text_starts_with(target, caller->token_namespace))
        return deny(err);
    if (!caller->namespace_exists)
        return error_set(err, ERROR_NOT_FOUND,
                         "no handler for route \"%s%s\". route entry not found.",
                         request->named, request->path);
    caller->below = target + strlen(caller->token_namespace);
    *path = arena_format(arena, "%s%s", caller->below, request->path);
    return *path || error_exhausted(err);
}

/* A policy's name is stored in one spelling and found by many: a rule for the stored one must
 * hold for all of them, or a deny on sys/policies/acl/admin says nothing about …/Admin. */
static bool stored_spelling(const struct match *match, struct arena *arena, const char **path,
                            struct error *err)
{
    if (!match->route || !match->route->names_policy)
        return true;
    char *copy = arena_strdup(arena, match->name);
    int before = (int)(strlen(*path) - strlen(match->name));
    *path = copy ? arena_format(arena, "%.*s%s", before, *path, policy_name_stored(copy)) : NULL;
    return *path || error_exhausted(err);
}

static bool evaluate(const struct policy *policy, struct caller *caller,
                     const struct match *match, const struct request *request, const char *path)
{
    struct policy_decision decision = policy_evaluate(policy, &(struct policy_request){
                                                                  .operation = match->operation,
                                                                  .path = path,
                                                                  .data = request->data,
                                                              });

    caller->sudo = decision.sudo;
    return decision.allowed && (decision.sudo || !match->sudo);
}

bool authorise(struct caller *caller, const struct match *match, const struct request *request,
               struct arena *arena, struct error *err)
{
    const char *path = NULL;

    err->code = ERROR_NONE;
    if (!locate(caller, request, arena, &path, err))
        return false;
    caller->sudo = authorise_is_root(caller->policies);
    if (caller->sudo)
        return true;
    struct policy *policy = authorise_compile(caller->policies, caller->accessor, arena, err);
    if (!policy)
        return false;
    bool allowed = evaluate(policy, caller, match, request, path) &&
                   stored_spelling(match, arena, &path, err) &&
                   evaluate(policy, caller, match, request, path);
    policy_free(policy);
    return allowed || err->code == ERROR_EXHAUSTED || deny(err);
}
