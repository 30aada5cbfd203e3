/* SPDX-License-Identifier: MIT */
#include "store_policy.h"

#include "db.h"
#include "policy_default.h"

#include <stdlib.h>
#include <string.h>

static bool no_namespace(const char *path, struct error *err)
{
    return error_set(err, ERROR_NOT_FOUND, "namespace \"%s\" does not exist", path);
}

bool store_policy_put(struct db *db, const char *namespace_path, const char *name,
                      const char *text, struct error *err)
{
    static const struct db_statement statement = {
        .name = "policy_put",
        .parameters = 3,
        .sql = "INSERT INTO runtime_catalog.policy (namespace_id, name, text)"
               " SELECT namespace.id, $2, $3"
               "   FROM runtime_catalog.namespace AS namespace"
               "  WHERE namespace.path = $1"
               "     ON CONFLICT (namespace_id, name) DO UPDATE"
               "    SET text = excluded.text, updated_at = excluded.updated_at"
               " RETURNING true",
    };
    struct db_result *result = db_execute(
        db, &statement, (struct db_parameter[]){{namespace_path, 0}, {name, 0}, {text, 0}}, err);
    bool stored = result && db_result_rows(result) == 1;

    if (result && !stored)
        no_namespace(namespace_path, err);
    db_result_free(result);
    return stored;
}

char *store_policy_get(struct db *db, const char *namespace_path, const char *name,
                       struct error *err)
{
    static const struct db_statement statement = {
        .name = "policy_get",
        .parameters = 3,
        .sql = "SELECT coalesce(policy.text, CASE WHEN $2 = 'default' THEN $3 END)"
               "  FROM runtime_catalog.namespace AS namespace"
               "  LEFT JOIN runtime_catalog.policy AS policy"
               "         ON policy.namespace_id = namespace.id AND policy.name = $2"
               " WHERE namespace.path = $1",
    };
    struct db_result *result = db_execute(
        db, &statement, (struct db_parameter[]){{namespace_path, 0}, {name, 0}, {policy_default_text, 0}}, err);
    char *text = NULL;

    if (result && db_result_rows(result) == 0)
        no_namespace(namespace_path, err);
    else if (result && !db_result_text(result, 0, 0))
        error_set(err, ERROR_NOT_FOUND, "No policy named: %s", name);
    else if (result && !(text = strdup(db_result_text(result, 0, 0))))
        error_exhausted(err);
    db_result_free(result);
    return text;
}

json_t *store_policy_list(struct db *db, const char *namespace_path, struct error *err)
{
    static const struct db_statement statement = {
        .name = "policy_list",
        .parameters = 1,
        .sql = "SELECT array_to_json(array(SELECT policy.name"
               "                             FROM runtime_catalog.policy AS policy"
               "                            WHERE policy.namespace_id = namespace.id"
               "                            UNION"
               "                           SELECT 'default' COLLATE \"C\""
               "                            ORDER BY 1) || 'root'::text)"
               "  FROM runtime_catalog.namespace AS namespace"
               " WHERE namespace.path = $1",
    };
    struct db_result *result =
        db_execute(db, &statement, (struct db_parameter[]){{namespace_path, 0}}, err);
    json_t *names = NULL;

    if (result && db_result_rows(result) == 0)
        no_namespace(namespace_path, err);
    else if (result && !(names = json_loads(db_result_text(result, 0, 0), 0, NULL)))
        error_exhausted(err);
    db_result_free(result);
    return names;
}

bool store_policy_delete(struct db *db, const char *namespace_path, const char *name,
                         struct error *err)
{
    static const struct db_statement statement = {
        .name = "policy_delete",
        .parameters = 2,
        .sql = "WITH deleted AS ("
               "    DELETE FROM runtime_catalog.policy AS policy"
               "     USING runtime_catalog.namespace AS namespace"
               "     WHERE namespace.path = $1"
               "       AND policy.namespace_id = namespace.id AND policy.name = $2)"
               " SELECT true FROM runtime_catalog.namespace AS namespace WHERE namespace.path = $1",
    };
    struct db_result *result = db_execute(
        db, &statement, (struct db_parameter[]){{namespace_path, 0}, {name, 0}}, err);
    bool found = result && db_result_rows(result) == 1;

    if (result && !found)
        no_namespace(namespace_path, err);
    db_result_free(result);
    return found;
}

bool store_policy_each(struct db *db,
                       bool (*each)(void *context, const char *namespace_path,
                                    const char *name, const char *text, struct error *err),
                       void *context, struct error *err)
{
    static const struct db_statement statement = {
        .name = "policy_each",
        .sql = "SELECT namespace_path, name, text FROM runtime_catalog.list_policies()",
    };
    struct db_result *result = db_execute(db, &statement, NULL, err);
    bool good = result != NULL;

    for (size_t row = 0; good && row < db_result_rows(result); row++)
        good = each(context, db_result_text(result, row, 0), db_result_text(result, row, 1),
                    db_result_text(result, row, 2), err);
    db_result_free(result);
    return good;
}
