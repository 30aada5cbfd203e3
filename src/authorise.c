/* SPDX-License-Identifier: MIT */
#include "authorise.h"

#include "arena.h"
#include "policy.h"
#include "request.h"
#include "route.h"
#include "store_token.h"
#include "text.h"

#include <string.h>

static bool deny(struct error *err)
{
    return error_set(err, ERROR_PERMISSION_DENIED, ERROR_TEXT_NOT_ALLOWED);
}

/* The built-in policy that allows everything, sudo included. */
static bool is_root(const struct caller *caller)
{
    json_t *first = json_array_get(json_array_get(caller->policies, 0), 0);

    return json_array_size(caller->policies) == 1 && json_is_string(first) &&
           strcmp(json_string_value(first), "root") == 0;
}

/* The token's policies that exist; one that does not grants nothing until it does. */
static struct policy *compile(const struct caller *caller, struct arena *arena,
                              struct error *err)
{
    size_t count = 0, i;
    json_t *pair;
    struct policy_source *sources =
        arena_alloc(arena, json_array_size(caller->policies) * sizeof *sources);

    if (!sources) {
        error_exhausted(err);
        return NULL;
    }
    json_array_foreach(caller->policies, i, pair)
    {
        json_t *text = json_array_get(pair, 1);
        if (json_is_string(text))
            sources[count++] = (struct policy_source){
                .name = json_string_value(json_array_get(pair, 0)),
                .text = json_string_value(text),
                .length = json_string_length(text),
            };
    }
    struct policy *policy = policy_compile(sources, count, err);
    if (!policy && err->code == ERROR_BAD_REQUEST) {
        char fault[ERROR_DETAIL_MAX];
        text_format(fault, sizeof fault, "a policy of accessor %s does not compile: %s",
                    caller->accessor, err->text);
        error_set(err, ERROR_INTERNAL, "internal error");
        memcpy(err->detail, fault, sizeof fault);
    }
    return policy;
}

/* Whether the namespace asked for lies in the token's own tree; the path that policies see is
 * relative to the token's namespace. */
static bool locate(const struct caller *caller, const struct request *request,
                   struct arena *arena, const char **path, struct error *err)
{
    const char *target = arena_format(arena, "%s%s", request->site, request->named);

    if (!target)
        return error_exhausted(err);
    if (!text_starts_with(target, caller->token_namespace))
        return deny(err);
    if (!caller->namespace_exists)
        return error_set(err, ERROR_NOT_FOUND,
                         "no handler for route \"%s\". route entry not found.", request->path);
    *path = arena_format(arena, "%s%s", target + strlen(caller->token_namespace), request->path);
    return *path || error_exhausted(err);
}

bool authorise(const struct caller *caller, const struct match *match,
               const struct request *request, struct arena *arena, struct error *err)
{
    const char *path = NULL;

    if (!locate(caller, request, arena, &path, err))
        return false;
    if (is_root(caller))
        return true;
    struct policy *policy = compile(caller, arena, err);
    if (!policy)
        return false;
    struct policy_decision decision = policy_evaluate(policy, &(struct policy_request){
                                                                  .operation = match->operation,
                                                                  .path = path,
                                                                  .data = request->data,
                                                              });
    policy_free(policy);
    return (decision.allowed && (decision.sudo || !match->sudo)) || deny(err);
}
