/* SPDX-License-Identifier: MIT
 *
 * Pages follow the primary key downwards. What is committed late, with a number that a
 * page has passed, is not in this reading but in the next.
 */
#include "store_history.h"

#include "db.h"
#include "text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A moment as struct history_filter has it. */
#define MOMENT(parameter)                                                                \
    "CASE WHEN " parameter " LIKE '% seconds'"                                           \
    "     THEN clock_timestamp() - " parameter "::interval"                              \
    "     ELSE " parameter "::timestamptz END"

/* A namespace that is gone is called what it was last; only its own rows know. */
#define PAGE                                                                             \
    "WITH page AS ("                                                                     \
    "    SELECT change.*"                                                                \
    "      FROM runtime_catalog.change AS change"                                        \
    "     WHERE change.id < $1::bigint"                                                  \
    "       AND ($3::text IS NULL OR change.table_name = $3)"                            \
    "       AND ($4::text IS NULL OR $4 IN (change.key ->> 'name', change.key ->> "      \
    "'accessor',"                                                                        \
    "                                       change.key ->> 'path',"                      \
    "                                       rtrim(change.key ->> 'path', '/')))"         \
    "       AND ($5::bigint[] IS NULL OR change.namespace_id = ANY ($5::bigint[]))"      \
    "       AND ($6::text IS NULL OR change.accessor = $6)"                              \
    "       AND ($7::text IS NULL OR change.role_name = $7)"                             \
    "       AND ($8::text IS NULL OR change.request_id = $8)"                            \
    "       AND ($9::text IS NULL OR change.changed_at >= " MOMENT(                      \
        "$9") ")"                                                                        \
              "       AND ($10::text IS NULL OR change.changed_at < " MOMENT(            \
                  "$10") ")"                                                             \
                         "     ORDER BY change.id DESC"                                  \
                         "     LIMIT $2::integer),"                                      \
                         " gone AS ("                                                    \
                         "    SELECT DISTINCT ON (change.namespace_id) "                 \
                         "change.namespace_id, change.key ->> 'path' AS path"            \
                         "      FROM runtime_catalog.change AS change"                   \
                         "     WHERE change.table_name = 'namespace' AND "               \
                         "change.operation = 'delete'"                                   \
                         "       AND change.namespace_id IN ("                           \
                         "               SELECT page.namespace_id FROM page"             \
                         "                WHERE NOT EXISTS (SELECT FROM "                \
                         "runtime_catalog.namespace AS namespace"                        \
                         "                                   WHERE namespace.id = "      \
                         "page.namespace_id))"                                           \
                         "     ORDER BY change.namespace_id, change.id DESC)"

#define FROM_PAGE                                                                        \
    "  FROM page"                                                                        \
    "  LEFT JOIN runtime_catalog.namespace AS namespace ON namespace.id = "              \
    "page.namespace_id"                                                                  \
    "  LEFT JOIN gone ON gone.namespace_id = page.namespace_id"                          \
    " ORDER BY page.id DESC"

#define UTC(column)                                                                      \
    "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"

enum { PARAMETERS = 10 };

static const struct db_statement json_statement = {
    .name = "history_json",
    .parameters = PARAMETERS,
    .sql = PAGE
    " SELECT page.id, json_build_object('json', json_build_object("
    "           'id', page.id,"
    "           'xid', page.xid::text,"
    "           'changed_at', " UTC(
        "page.changed_at") ","
                           "           'table_name', page.table_name,"
                           "           'operation', page.operation,"
                           "           'namespace_path', coalesce(namespace.path, "
                           "gone.path),"
                           "           'key', page.key,"
                           "           'old', page.old,"
                           "           'new', page.new,"
                           "           'accessor', page.accessor,"
                           "           'request_id', page.request_id,"
                           "           'role_name', page.role_name)::text)" FROM_PAGE,
};

#define SHORT(value)                                                                     \
    "CASE WHEN length(" value "::text) > 40 THEN left(" value "::text, 37) || '...'"     \
    "     ELSE coalesce(" value "::text, 'null') END"

static const struct db_statement table_statement = {
    .name = "history_table",
    .parameters = PARAMETERS,
    .sql = PAGE
    " SELECT page.id, json_build_object("
    "           'changed_at', " UTC(
        "page.changed_at") ","
                           "           'who', coalesce(page.accessor, 'role ' || "
                           "page.role_name),"
                           "           'namespace_path', '/' || coalesce(namespace.path, "
                           "gone.path),"
                           "           'operation', page.operation,"
                           "           'object', concat_ws(' ', page.table_name, "
                           "coalesce("
                           "               page.key ->> 'accessor', page.key ->> 'path',"
                           "               nullif(concat_ws('/', page.key ->> 'type', "
                           "page.key ->> 'name',"
                           "                                nullif(page.key ->> "
                           "'version', '')), ''))),"
                           "           'changes',"
                           "               (SELECT string_agg(concat(is_now.key, ': ',"
                           "                   " SHORT(
                               "(page.old -> is_now.key)") ", ' -> ',"
                                                           "                   " SHORT(
                                                               "is_now.value") "), ', ' "
                                                                               "ORDER BY "
                                                                               "is_now."
                                                                               "key)"
                                                                               "         "
                                                                               "         "
                                                                               "FROM "
                                                                               "jsonb_"
                                                                               "each("
                                                                               "page.new)"
                                                                               " AS "
                                                                               "is_now"
                                                                               "         "
                                                                               "        "
                                                                               "WHERE "
                                                                               "is_now."
                                                                               "key <> "
                                                                               "'updated_"
                                                                               "at' AND "
                                                                               "page."
                                                                               "operation"
                                                                               " = "
                                                                               "'update'"
                                                                               "         "
                                                                               "         "
                                                                               " AND "
                                                                               "is_now."
                                                                               "value IS "
                                                                               "DISTINCT "
                                                                               "FROM "
                                                                               "page.old "
                                                                               "-> "
                                                                               "is_now."
                                                                               "key),"
                                                                               "         "
                                                                               "  "
                                                                               "'request_"
                                                                               "id', "
                                                                               "page."
                                                                               "request_"
                                                                               "id"
                                                                               ")" FROM_PAGE,
};

/* The ids that a path has had, as the text of an array. */
static bool find_namespaces(struct db *db, const char *path, char **ids,
                            struct error *err)
{
    static const struct db_statement statement = {
        .name = "history_namespaces",
        .parameters = 1,
        .sql =
            "SELECT array_agg(had.id)::text"
            "  FROM (SELECT namespace.id FROM runtime_catalog.namespace AS namespace"
            "         WHERE namespace.path = $1"
            "         UNION"
            "        SELECT change.namespace_id FROM runtime_catalog.change AS change"
            "         WHERE change.table_name = 'namespace'"
            "           AND $1 IN (change.old ->> 'path', change.new ->> 'path')) AS had",
    };
    struct db_result *result =
        db_execute(db, &statement, (struct db_parameter[]){{path, 0}}, err);
    const char *text = result ? db_result_text(result, 0, 0) : NULL;

    if (result && !text)
        error_set(err, ERROR_NOT_FOUND, "there was never a namespace \"%s\"", path);
    else if (result && !(*ids = strdup(text)))
        error_exhausted(err);
    db_result_free(result);
    return *ids != NULL;
}

static json_t *take_rows(struct db_result *result, struct history_place *place,
                         struct error *err)
{
    json_t *rows = json_array();
    bool good = rows != NULL;

    for (size_t i = 0; good && i < db_result_rows(result); i++) {
        json_t *row = json_loads(db_result_text(result, i, 1), 0, NULL);
        good = json_array_append_new(rows, row) == 0;
        place->before = strtoll(db_result_text(result, i, 0), NULL, 10);
    }
    if (good)
        return rows;
    json_decref(rows);
    error_exhausted(err);
    return NULL;
}

json_t *store_history_page(struct db *db, const struct history_filter *filter,
                           size_t count, bool as_json, struct history_place *place,
                           struct error *err)
{
    char before[24], limit[24];

    if (filter->namespace_path && !place->namespaces &&
        !find_namespaces(db, filter->namespace_path, &place->namespaces, err))
        return NULL;
    text_format(before, sizeof before, "%" PRId64,
                place->before ? place->before : INT64_MAX);
    text_format(limit, sizeof limit, "%zu", count);
    struct db_result *result =
        db_execute(db, as_json ? &json_statement : &table_statement,
                   (struct db_parameter[]){
                       {before, 0},
                       {limit, 0},
                       {filter->table, 0},
                       {filter->name, 0},
                       {place->namespaces, 0},
                       {filter->accessor, 0},
                       {filter->role, 0},
                       {filter->request_id, 0},
                       {filter->since, 0},
                       {filter->until, 0},
                   },
                   err);
    json_t *rows = result ? take_rows(result, place, err) : NULL;
    db_result_free(result);
    return rows;
}

void store_history_fini(struct history_place *place)
{
    free(place->namespaces);
    place->namespaces = NULL;
}
