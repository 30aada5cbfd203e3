/* SPDX-License-Identifier: MIT */
#include "store_policy.h"

#include "db.h"

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
        error_set(err, ERROR_NOT_FOUND, "namespace \"%s\" does not exist", namespace_path);
    db_result_free(result);
    return stored;
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
