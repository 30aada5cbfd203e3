/* SPDX-License-Identifier: MIT */
#include "store_policy_api.h"

#include "cache_topic.h"
#include "db.h"
#include "store_caller.h"

enum { NAME = CREDENTIAL_PARAMETERS, TEXT, PARAMETERS };

bool store_policy_api_load(struct db *db, const struct credential *credential, const char *type,
                           const char *name, struct arena *arena, struct caller *caller,
                           struct object *object, struct error *err)
{
    static const struct db_statement statement = {
        .name = "policy_load",
        .parameters = NAME + 1,
        .sql = STORE_CALLER_SELECT
               ",      (SELECT to_json(policy.text)"
               "          FROM runtime_catalog.policy AS policy"
               "         WHERE policy.namespace_id = caller.namespace_id"
               "           AND policy.name = lower(btrim($7) COLLATE \"C\")) AS object" STORE_CALLER_FROM,
    };
    struct db_parameter parameters[PARAMETERS];

    (void)type;
    credential_parameters(parameters, credential, true);
    parameters[NAME] = (struct db_parameter){name, 0};
    return store_caller_load_with(db, &statement, parameters, credential, NULL, arena, caller,
                                  object, err);
}

bool store_policy_api_load_list(struct db *db, const struct credential *credential,
                                const char *type, const char *name, struct arena *arena,
                                struct caller *caller, struct object *object, struct error *err)
{
    static const struct db_statement statement = {
        .name = "policy_load_list",
        .parameters = CREDENTIAL_PARAMETERS,
        .sql = STORE_CALLER_SELECT
               ",      (SELECT coalesce(json_agg(policy.name ORDER BY policy.name), '[]')"
               "          FROM runtime_catalog.policy AS policy"
               "         WHERE policy.namespace_id = caller.namespace_id) AS object"
               /* */ STORE_CALLER_FROM,
    };
    struct db_parameter parameters[CREDENTIAL_PARAMETERS];

    (void)type, (void)name;
    credential_parameters(parameters, credential, true);
    return store_caller_load_with(db, &statement, parameters, credential, NULL, arena, caller,
                                  object, err);
}

/* Writes: runs a statement that yields a row for a caller who is known. From then on nobody is
 * let in by what the policy was before, whatever became of it. */
static bool execute(struct db *db, const struct db_statement *statement,
                    const struct credential *credential, const char *name, const char *text,
                    struct error *err)
{
    struct db_parameter parameters[PARAMETERS];

    credential_parameters(parameters, credential, false);
    parameters[NAME] = (struct db_parameter){name, 0};
    parameters[TEXT] = (struct db_parameter){text, 0};
    struct db_result *result = db_execute(db, statement, parameters, err);
    struct cache *cache = credential->cache;
    cache_drop(cache, cache_topic_policy(cache, credential->namespace_id, name));
    bool known = result && db_result_rows(result) == 1;
    if (result && !known)
        error_set(err, ERROR_PERMISSION_DENIED, ERROR_TEXT_INVALID_TOKEN);
    db_result_free(result);
    return known;
}

bool store_policy_api_put(struct db *db, const struct credential *credential, const char *name,
                          const char *text, struct error *err)
{
    static const struct db_statement statement = {
        .name = "policy_put_by_caller",
        .parameters = PARAMETERS,
        .sql = "INSERT INTO runtime_catalog.policy AS policy (namespace_id, name, text)"
               " SELECT caller.namespace_id, $7, $8" STORE_CALLER_FROM
               "  WHERE caller.namespace_id IS NOT NULL"
               "     ON CONFLICT (namespace_id, name) DO UPDATE"
               "    SET text = excluded.text, updated_at = excluded.updated_at"
               " RETURNING true",
    };

    return execute(db, &statement, credential, name, text, err);
}

bool store_policy_api_delete(struct db *db, const struct credential *credential,
                             const char *name, struct error *err)
{
    static const struct db_statement statement = {
        .name = "policy_delete_by_caller",
        .parameters = NAME + 1,
        .sql = "SELECT runtime_catalog.delete_policy(caller.namespace_id, $7)"
               /* */ STORE_CALLER_FROM,
    };

    return execute(db, &statement, credential, name, NULL, err);
}
