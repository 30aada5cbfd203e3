/* SPDX-License-Identifier: MIT */
#include "authorise.h"

#include "arena.h"
#include "policy.h"
#include "policy_names.h"
#include "policy_set.h"
#include "request.h"
#include "route.h"
#include "store_caller.h"
#include "text.h"

#include <string.h>

static bool deny(struct error *err)
{
    return error_set(err, ERROR_PERMISSION_DENIED, ERROR_TEXT_NOT_ALLOWED);
}

/* Whether there is the namespace asked for, which is in the token's own tree; the path that policies
 * see is relative to the token's namespace. */
static bool locate(struct caller *caller, const struct request *request,
                   struct arena *arena, const char **path, struct error *err)
{
    const char *target = arena_join(arena, request->site, request->named);

    if (!target)
        return error_exhausted(err);
    if (caller->namespace_id == 0)
        return error_set(err, ERROR_NOT_FOUND,
                         "no handler for route \"%s%s\". route entry not found.",
                         request->named, request->path);
    caller->below = target + strlen(caller->token_namespace);
    *path = arena_join(arena, caller->below, request->path);
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
    caller->grantors = decision.grantors;
    return decision.allowed && (decision.sudo || !match->sudo);
}

bool authorise(struct caller *caller, const struct match *match, const struct request *request,
               struct arena *arena, struct error *err)
{
    const char *path = "";

    err->code = ERROR_NONE;
    if (!locate(caller, request, arena, &path, err))
        return false;
    caller->sudo = policy_set_is_root(caller->policies);
    if (caller->sudo)
        return true;
    const struct policy *policy = policy_set_compiled(caller->policies, caller->accessor, err);
    if (!policy)
        return false;
    bool allowed = evaluate(policy, caller, match, request, path) &&
                   stored_spelling(match, arena, &path, err) &&
                   evaluate(policy, caller, match, request, path);
    return allowed || err->code == ERROR_EXHAUSTED || deny(err);
}
