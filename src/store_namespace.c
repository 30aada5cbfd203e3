/* SPDX-License-Identifier: MIT */
#include "store_namespace.h"

#include "db.h"
#include "namespace_path.h"

#include <stdlib.h>
#include <string.h>

#define DESCRIPTION                                                                          \
    "json_build_object("                                                                     \
    "    'custom_metadata', namespace.custom_metadata,"                                      \
    "    'id', runtime_catalog.namespace_label(namespace.id),"                               \
    "    'max_runtimes', namespace.max_runtimes,"                                            \
    "    'path', namespace.path,"                                                            \
    "    'runtimes', (SELECT count(*)"                                                       \
    "                   FROM runtime_catalog.namespace AS below"                             \
    "                   JOIN runtime_catalog.runtime AS runtime"                             \
    "                     ON runtime.namespace_id = below.id"                                \
    "                  WHERE below.path >= namespace.path"                                   \
    "                    AND below.path < runtime_catalog.beyond_namespace(namespace.path)))"

static bool does_not_exist(const char *above, const char *name, struct error *err)
{
    return error_set(err, ERROR_NOT_FOUND, "namespace \"%s%s%s\" does not exist", above, name,
                     *name ? "/" : "");
}

bool store_namespace_check_metadata(const json_t *metadata, struct error *err)
{
    return json_dumpb(metadata, NULL, 0, 0) <= 4096 ||
           error_set(err, ERROR_BAD_REQUEST, "custom_metadata: 4096 bytes at most");
}

/* The JSON of the one column of a statement's one row. NULL with *err: no row means that there is
 * no such namespace. */
static json_t *execute(struct db *db, const struct db_statement *statement, const char *above,
                       const char *name, const struct namespace_settings *settings,
                       struct error *err)
{
    const json_t *metadata = settings ? settings->metadata : NULL;
    char *text = metadata ? json_dumps(metadata, JSON_COMPACT) : NULL;
    json_t *value = NULL;

    if (metadata && !text)
        error_exhausted(err);
    if ((metadata && !text) || !store_namespace_check_metadata(metadata, err)) {
        free(text);
        return NULL;
    }
    struct db_result *result = db_execute(
        db, statement,
        (struct db_parameter[]){
            {above, 0}, {name, 0}, {settings ? settings->max_runtimes : NULL, 0}, {text, 0}},
        err);
    free(text);
    if (result && db_result_rows(result) == 0)
        does_not_exist(above, name, err);
    else if (result && !(value = json_loads(db_result_text(result, 0, 0), 0, NULL)))
        error_exhausted(err);
    db_result_free(result);
    return value;
}

bool store_namespace_create(struct db *db, const char *above, const char *name,
                            const struct namespace_settings *settings, json_t **description,
                            struct error *err)
{
    static const struct db_statement statement = {
        .name = "namespace_create",
        .parameters = 4,
        .sql = "INSERT INTO runtime_catalog.namespace AS namespace"
               "       (path, parent_id, max_runtimes, custom_metadata)"
               " SELECT above.path || $2 || '/', above.id, nullif($3, 'none')::bigint,"
               "        coalesce(jsonb_strip_nulls($4::jsonb), '{}')"
               "   FROM runtime_catalog.namespace AS above"
               "  WHERE above.path = $1"
               " RETURNING " DESCRIPTION,
    };

    if (!namespace_name_check(above, name, err))
        return false;
    *description = execute(db, &statement, above, name, settings, err);
    if (!*description && err->code == ERROR_NOT_FOUND)
        does_not_exist(above, "", err);
    return *description != NULL;
}

bool store_namespace_update(struct db *db, const char *above, const char *name,
                            const struct namespace_settings *settings, json_t **description,
                            struct error *err)
{
    static const struct db_statement statement = {
        .name = "namespace_update",
        .parameters = 4,
        .sql = "UPDATE runtime_catalog.namespace AS namespace"
               "   SET max_runtimes = CASE WHEN $3::text IS NULL THEN max_runtimes"
               "                           ELSE nullif($3, 'none')::bigint END,"
               "       custom_metadata = CASE WHEN $4::jsonb IS NULL THEN custom_metadata"
               "           ELSE jsonb_strip_nulls(custom_metadata || $4::jsonb) END,"
               "       updated_at = now()"
               " WHERE namespace.path = $1 || $2 || '/'"
               " RETURNING " DESCRIPTION,
    };

    *description = execute(db, &statement, above, name, settings, err);
    return *description != NULL;
}

bool store_namespace_get(struct db *db, const char *above, const char *name,
                         json_t **description, struct error *err)
{
    static const struct db_statement statement = {
        .name = "namespace_get",
        .parameters = 2,
        .sql = "SELECT " DESCRIPTION "  FROM runtime_catalog.namespace AS namespace"
               " WHERE namespace.path = $1 || $2 || '/'",
    };

    *description = execute(db, &statement, above, name, NULL, err);
    return *description != NULL;
}

json_t *store_namespace_list(struct db *db, const char *above, struct error *err)
{
    static const struct db_statement statement = {
        .name = "namespace_list",
        .parameters = 1,
        .sql = "SELECT array_to_json(array("
               "           SELECT " DESCRIPTION
               "             FROM runtime_catalog.namespace AS namespace"
               "            WHERE namespace.path > above.path"
               "              AND namespace.path < runtime_catalog.beyond_namespace(above.path)"
               "            ORDER BY namespace.path))"
               "  FROM runtime_catalog.namespace AS above"
               " WHERE above.path = $1",
    };

    return execute(db, &statement, above, "", NULL, err);
}

bool store_namespace_deleted(struct db_result *result, const char *name, bool *existed,
                             struct error *err)
{
    const char *holds = db_result_text(result, 0, 1);

    *existed = db_result_true(result, 0, 0);
    if (holds)
        error_set(err, ERROR_IN_USE, "cannot delete namespace \"%s/\": it still has %s", name,
                  holds);
    bool gone = !holds;
    db_result_free(result);
    return gone;
}

bool store_namespace_delete(struct db *db, const char *above, const char *name,
                            struct error *err)
{
    static const struct db_statement statement = {
        .name = "namespace_delete",
        .parameters = 2,
        .sql = "SELECT deleted.existed, deleted.holds"
               "  FROM (SELECT (SELECT namespace.id FROM runtime_catalog.namespace AS namespace"
               "                 WHERE namespace.path = $1) AS id) AS above,"
               "       LATERAL runtime_catalog.delete_namespace(above.id, $2) AS deleted",
    };
    struct db_result *result =
        db_execute(db, &statement, (struct db_parameter[]){{above, 0}, {name, 0}}, err);
    bool existed;

    if (!result || !store_namespace_deleted(result, name, &existed, err))
        return false;
    return existed || does_not_exist(above, name, err);
}
