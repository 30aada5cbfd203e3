/* SPDX-License-Identifier: MIT
 *
 * auth/token/create: what a child may be. The order of the checks is that of
 * handleCreateCommon in vault/token_store.go.
 */
#include "handler_token.h"

#include "field.h"
#include "handler.h"
#include "policy_names.h"
#include "request.h"
#include "response.h"
#include "route.h"
#include "store_caller.h"
#include "store_token_api.h"
#include "token_auth.h"

#include <string.h>

enum { NAME_BYTES_MAX = 4000 }; /* token_display_name_check, with room for what is put in front */

/* What the client asks for. */
struct wish {
    json_t *policies, *meta; /* NULL: not given; ours */
    bool has_policies;       /* a list was given that is not empty, whatever is in it */
    const char *display_name;
    bool no_parent, no_default_policy, renewable;
    int64_t ttl, explicit_max_ttl, period, num_uses;
};

static bool refuse(struct error *err, const char *text)
{
    return error_set(err, ERROR_BAD_REQUEST, "%s", text);
}

/* What Vault has and we do not: refused rather than ignored. */
static bool check_unoffered(const json_t *data, struct error *err)
{
    const char *type, *alias, *id;

    if (!field_string(data, "type", NAME_BYTES_MAX, &type, err) ||
        !field_string(data, "entity_alias", NAME_BYTES_MAX, &alias, err) ||
        !field_string(data, "id", NAME_BYTES_MAX, &id, err))
        return false;
    if (strcmp(type, "batch") == 0)
        return refuse(err, "type: batch tokens are not offered");
    if (*type && strcmp(type, "service") != 0)
        return refuse(err, "invalid 'token_type' value");
    if (*alias)
        return refuse(err, "'entity_alias' is only allowed in combination with token role");
    return !*id || refuse(err, "id: tokens are made by the server alone");
}

static bool read_wish(const json_t *data, struct wish *wish, struct error *err)
{
    bool has_ttl = !json_is_null(json_object_get(data, "ttl")) && json_object_get(data, "ttl");
    const json_t *policies = json_object_get(data, "policies");

    *wish = (struct wish){.renewable = true};
    wish->has_policies = json_is_string(policies) || json_array_size(policies) > 0;
    if (!field_strings(data, "policies", false, &wish->policies, err) ||
        !field_map(data, "meta", &wish->meta, err) ||
        !field_boolean(data, "no_parent", &wish->no_parent, err) ||
        !field_boolean(data, "no_default_policy", &wish->no_default_policy, err) ||
        !field_string(data, "display_name", NAME_BYTES_MAX, &wish->display_name, err) ||
        !field_integer(data, "num_uses", &wish->num_uses, err))
        return false;
    if (json_object_get(data, "renewable") && !json_is_null(json_object_get(data, "renewable")) &&
        !field_boolean(data, "renewable", &wish->renewable, err))
        return false;
    if (wish->num_uses < 0)
        return refuse(err, "number of uses cannot be negative");
    if (wish->num_uses > INT32_MAX)
        return refuse(err, "num_uses: must be 2147483647 at most");
    return check_unoffered(data, err) &&
           field_seconds(data, "explicit_max_ttl", &wish->explicit_max_ttl, err) &&
           field_seconds(data, "period", &wish->period, err) &&
           field_seconds(data, has_ttl ? "ttl" : "lease", &wish->ttl, err);
}

/* Whether the caller may give a child what it asks for: below its own namespace whatever there
 * is but root, with sudo whatever there is, else what it has itself. */
static bool check_policies(const struct call *call, const struct wish *wish, const json_t *own,
                           const json_t *asked, struct error *err)
{
    if (*call->caller->below) {
        if (!call->caller->sudo)
            return refuse(err, "root or sudo privileges required to directly generate a token in "
                               "a child namespace");
        return !policy_names_have(asked, "root") ||
               refuse(err, "root tokens may not be created from a parent namespace");
    }
    return !wish->has_policies || call->caller->sudo || policy_names_contain(own, asked) ||
           refuse(err, "child policies must be subset of parent");
}

/* Whatever the way to it, what a child finally has. */
static bool check_chosen(const json_t *chosen, const json_t *own, struct error *err)
{
    const char *reserved = policy_names_reserved(chosen);

    if (reserved)
        return error_set(err, ERROR_BAD_REQUEST, "cannot assign policy \"%s\"", reserved);
    return !policy_names_have(chosen, "root") || policy_names_have(own, "root") ||
           refuse(err, "root tokens may not be created without parent token being root");
}

/* The policies of the child: what was asked for and default, or the parent's as they are. NULL
 * with *err. */
static json_t *choose_policies(const struct call *call, const struct wish *wish,
                               const json_t *parent, struct error *err)
{
    json_auto_t *own = policy_names_clean(json_object_get(parent, "policies"), err);
    json_auto_t *asked = policy_names_clean(wish->policies, err);
    bool asks = wish->has_policies || *call->caller->below;

    if (!own || !asked || !check_policies(call, wish, own, asked, err))
        return NULL;
    bool add_default = asks && (call->caller->sudo || policy_names_have(own, "default"));
    json_t *chosen =
        policy_names_with_default(asks ? asked : own, add_default && !wish->no_default_policy,
                                  wish->no_default_policy, err);
    if (chosen && !check_chosen(chosen, own, err)) {
        json_decref(chosen);
        return NULL;
    }
    return chosen;
}

/* The time to live: what was asked for, or the period, or the system's; within its bounds, with
 * Vault's warning if it was cut. A root token may be without end. */
static bool set_ttl(struct token_plan *plan, const struct wish *wish, const json_t *parent,
                    struct response *response, struct error *err)
{
    bool root = policy_names_have(plan->policies, "root");

    plan->period = wish->period;
    plan->explicit_max_ttl = wish->explicit_max_ttl;
    plan->ttl = wish->ttl;
    if (plan->period > 0 || plan->ttl > 0 || !root) {
        struct token_term term = token_auth_term(plan->ttl, plan->period, plan->explicit_max_ttl);
        plan->ttl = term.ttl;
        if (!token_auth_warn_capped(response, &term, err))
            return false;
    }
    if (plan->ttl == 0)
        plan->ttl = plan->explicit_max_ttl;
    if (plan->ttl == 0 && !json_is_null(json_object_get(parent, "expire_time")))
        return refuse(err, "expiring root tokens cannot create non-expiring root tokens");
    plan->renewable = wish->renewable && plan->ttl > 0;
    return true;
}

static bool check_privileges(const struct call *call, const struct wish *wish, struct error *err)
{
    if (wish->no_parent && !call->caller->sudo)
        return refuse(err, "root or sudo privileges required to create orphan token");
    if (wish->period > 0 && !call->caller->sudo)
        return refuse(err, "root or sudo privileges required to create periodic token");
    return true;
}

static bool warn_of_missing(struct call *call, const struct token_plan *plan, struct error *err)
{
    json_auto_t *missing = NULL;
    json_t *name;
    size_t i;

    if (!store_token_api_missing_policies(call->db, call->credential, plan->policies, &missing, err))
        return false;
    json_array_foreach(missing, i, name)
    {
        if (!response_warn(call->response, err, "Policy \"%s\" does not exist",
                           json_string_value(name)))
            return false;
    }
    return true;
}

static bool store(struct call *call, const struct token_plan *plan, struct error *err)
{
    char token[SECRET_TOKEN_TEXT + 1], accessor[SECRET_ACCESSOR_TEXT + 1];
    bool stored = warn_of_missing(call, plan, err) &&
                  store_token_api_create(call->db, call->credential, plan, token, accessor, err);

    if (stored) {
        call->response->auth = token_auth(&(struct token_auth_facts){
            .client_token = token,
            .accessor = accessor,
            .policies = plan->policies,
            .meta = plan->meta,
            .ttl = plan->ttl,
            .renewable = plan->renewable,
            .orphan = plan->orphan,
            .num_uses = plan->num_uses,
        });
        stored = call->response->auth || error_exhausted(err);
    }
    secret_wipe(token, sizeof token);
    return stored;
}

static bool create(struct call *call, bool orphan, struct error *err)
{
    const json_t *parent = call->object.json;
    struct wish wish = {.policies = NULL};
    json_auto_t *policies = NULL;

    if (!parent) /* it ended between two looks at it */
        return refuse(err, "parent token lookup failed: no parent found");
    bool good = json_integer_value(json_object_get(parent, "num_uses")) == 0 ||
                refuse(err, "restricted use token cannot generate child tokens");
    good = good && read_wish(call->request->data, &wish, err);
    if (good)
        policies = choose_policies(call, &wish, parent, err);
    char display_name[TOKEN_DISPLAY_NAME_MAX];
    struct token_plan plan = {
        .display_name = display_name,
        .policies = policies,
        .meta = wish.meta,
        .path = call->request->path,
        .orphan = orphan || wish.no_parent,
        .num_uses = wish.num_uses,
    };
    good = good && policies &&
           (token_display_name(display_name, wish.display_name) ||
            refuse(err, "display_name: too long")) &&
           token_check_sizes(policies, wish.meta, err) && check_privileges(call, &wish, err) &&
           set_ttl(&plan, &wish, parent, call->response, err) &&
           store(call, &plan, err);
    json_decref(wish.policies);
    json_decref(wish.meta);
    return good;
}

bool handler_token_create(struct call *call, struct error *err)
{
    return create(call, false, err);
}

bool handler_token_create_orphan(struct call *call, struct error *err)
{
    return create(call, true, err);
}

/* There are no roles to create tokens by. */
bool handler_token_create_for_role(struct call *call, struct error *err)
{
    return error_set(err, ERROR_BAD_REQUEST, "unknown role %s", call->match->name);
}
