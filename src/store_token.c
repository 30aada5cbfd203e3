/* SPDX-License-Identifier: MIT */
#include "store_token.h"

#include "db.h"
#include "text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool generate(char token[static SECRET_TOKEN_TEXT + 1],
                     char accessor[static SECRET_ACCESSOR_TEXT + 1],
                     unsigned char hash[static SECRET_HASH_SIZE], struct error *err)
{
    return (secret_token(token) && secret_accessor(accessor) &&
            secret_hash(hash, token, strlen(token))) ||
           error_set(err, ERROR_INTERNAL, "the system's random source failed");
}

/* Lists and objects travel as JSON, so that no text in them needs quoting. */
static bool dump(char **out, const json_t *value, struct error *err)
{
    *out = value ? json_dumps(value, JSON_COMPACT) : NULL;
    return !value || *out || error_exhausted(err);
}

/* The JSON of a result's one column. NULL with *err; what no row means is the caller's. */
static json_t *take_json(struct db_result *result, const char *no_row, struct error *err)
{
    json_t *value = NULL;

    if (result && db_result_rows(result) == 0)
        error_set(err, ERROR_NOT_FOUND, "%s", no_row);
    else if (result && !(value = json_loads(db_result_text(result, 0, 0), JSON_DECODE_ANY, NULL)))
        error_exhausted(err);
    db_result_free(result);
    return value;
}

static json_t *insert(struct db *db, const struct db_parameter parameters[], const char *path,
                      struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_issue",
        .parameters = 11,
        .sql = "INSERT INTO runtime_catalog.token"
               "       (hash, accessor, namespace_id, policies, display_name, meta, bound_cidrs,"
               "        path, expires_at, renewable, ttl, explicit_max_ttl, period, uses_left)"
               " SELECT $1, $2, namespace.id,"
               "        array(SELECT * FROM json_array_elements_text($4::json)), $5, $6::jsonb,"
               "        (SELECT array_agg(network(value::inet))"
               "           FROM json_array_elements_text($7::json) AS value),"
               "        CASE WHEN $4::jsonb ? 'root' THEN 'auth/token/root'"
               "             ELSE 'auth/token/create' END,"
               "        now() + make_interval(secs => nullif($8::bigint, 0)), $8::bigint > 0, $8::bigint,"
               "        $9::bigint, $10::bigint, nullif($11::integer, 0)"
               "   FROM runtime_catalog.namespace AS namespace"
               "  WHERE namespace.path = $3"
               " RETURNING array_to_json(array("
               "        SELECT name.name"
               "          FROM unnest(policies) AS name (name)"
               "         WHERE name.name <> 'root'"
               "           AND NOT EXISTS (SELECT FROM runtime_catalog.policy AS policy"
               "                            WHERE policy.namespace_id = token.namespace_id"
               "                              AND policy.name = name.name)))",
    };
    char no_row[ERROR_TEXT_MAX];

    text_format(no_row, sizeof no_row, "namespace \"%s\" does not exist", path);
    return take_json(db_execute(db, &statement, parameters, err), no_row, err);
}

bool store_token_issue(struct db *db, const struct token_issue *issue,
                       char token[static SECRET_TOKEN_TEXT + 1],
                       char accessor[static SECRET_ACCESSOR_TEXT + 1], json_t **missing,
                       struct error *err)
{
    const int64_t numbers[] = {issue->ttl, issue->explicit_max_ttl, issue->period,
                               issue->num_uses};
    char *policies = NULL, *meta = NULL, *cidrs = NULL, text[4][24];
    unsigned char hash[SECRET_HASH_SIZE];

    *missing = NULL;
    for (size_t i = 0; i < 4; i++)
        text_format(text[i], sizeof text[i], "%" PRId64, numbers[i]);
    if (generate(token, accessor, hash, err) && dump(&policies, issue->policies, err) &&
        dump(&meta, issue->meta, err) && dump(&cidrs, issue->bound_cidrs, err))
        *missing = insert(db,
                          (struct db_parameter[]){
                              {(const char *)hash, sizeof hash},
                              {accessor, 0},
                              {issue->namespace_path, 0},
                              {policies, 0},
                              {issue->display_name, 0},
                              {meta, 0},
                              {cidrs, 0},
                              {text[0], 0},
                              {text[1], 0},
                              {text[2], 0},
                              {text[3], 0},
                          },
                          issue->namespace_path, err);
    free(policies);
    free(meta);
    free(cidrs);
    return *missing != NULL;
}

bool store_token_find(struct db *db, const char *token,
                      char accessor[static SECRET_ACCESSOR_TEXT + 1], struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_find",
        .parameters = 1,
        .sql = "SELECT runtime_catalog.find_token($1)",
    };
    unsigned char hash[SECRET_HASH_SIZE];

    if (!secret_hash(hash, token, strlen(token)))
        return error_set(err, ERROR_INTERNAL, "libcrypto failed");
    struct db_result *result = db_execute(
        db, &statement, (struct db_parameter[]){{(const char *)hash, sizeof hash}}, err);
    const char *text = result ? db_result_text(result, 0, 0) : NULL;
    if (text)
        text_format(accessor, SECRET_ACCESSOR_TEXT + 1, "%s", text);
    else if (result)
        error_set(err, ERROR_NOT_FOUND, "token not found");
    db_result_free(result);
    return text != NULL;
}

/* Tokens that have expired, by themselves or with a parent; what token_is_live() is for one.
 * Rows of theirs stay until somebody deletes them. */
#define EXPIRED                                                                              \
    "WITH RECURSIVE expired (accessor) AS ("                                                 \
    "    SELECT token.accessor"                                                              \
    "      FROM runtime_catalog.token AS token"                                              \
    "     WHERE token.expires_at <= statement_timestamp()"                                   \
    "     UNION"                                                                             \
    "    SELECT token.accessor"                                                              \
    "      FROM expired"                                                                     \
    "      JOIN runtime_catalog.token AS token ON token.parent = expired.accessor)"

#define UTC(column) "to_char(" column " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

#define DESCRIPTION                                                                          \
    "json_build_object("                                                                     \
    "    'accessor', token.accessor,"                                                        \
    "    'bound_cidrs', token.bound_cidrs,"                                                  \
    "    'creation_time', extract(epoch FROM token.created_at)::bigint,"                     \
    "    'display_name', token.display_name,"                                                \
    "    'expire_time', " UTC("token.expires_at") ","                                        \
    "    'explicit_max_ttl', token.explicit_max_ttl,"                                        \
    "    'issue_time', " UTC("token.created_at") ","                                         \
    "    'meta', token.meta,"                                                                \
    "    'namespace_path', namespace.path,"                                                  \
    "    'num_uses', coalesce(token.uses_left, 0),"                                          \
    "    'orphan', token.parent IS NULL,"                                                    \
    "    'parent', token.parent,"                                                            \
    "    'period', token.period,"                                                            \
    "    'policies', token.policies,"                                                        \
    "    'ttl', coalesce(round(extract(epoch FROM token.expires_at - clock_timestamp())),"   \
    "                    0)::bigint,"                                                        \
    "    'type', 'service')"

json_t *store_token_lookup(struct db *db, const char *accessor, struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_lookup",
        .parameters = 1,
        .sql = EXPIRED " SELECT " DESCRIPTION
                     "  FROM runtime_catalog.token AS token"
                     "  JOIN runtime_catalog.namespace AS namespace"
                     "    ON namespace.id = token.namespace_id"
                     " WHERE token.accessor = $1 AND token.uses_left IS DISTINCT FROM 0"
                     "   AND NOT EXISTS (SELECT FROM expired"
                     "                    WHERE expired.accessor = token.accessor)",
    };

    return take_json(
        db_execute(db, &statement, (struct db_parameter[]){{accessor, 0}}, err),
        "token not found", err);
}

json_t *store_token_list(struct db *db, const char *namespace_path, struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_list",
        .parameters = 1,
        .sql = EXPIRED " SELECT array_to_json(array("
                     "    SELECT " DESCRIPTION
                     "      FROM runtime_catalog.token AS token"
                     "     WHERE token.namespace_id = namespace.id"
                     "       AND token.uses_left IS DISTINCT FROM 0"
                     "       AND NOT EXISTS (SELECT FROM expired"
                     "                        WHERE expired.accessor = token.accessor)"
                     "     ORDER BY token.created_at, token.accessor))"
                     "  FROM runtime_catalog.namespace AS namespace"
                     " WHERE namespace.path = $1",
    };
    char no_row[ERROR_TEXT_MAX];

    text_format(no_row, sizeof no_row, "namespace \"%s\" does not exist", namespace_path);
    return take_json(
        db_execute(db, &statement, (struct db_parameter[]){{namespace_path, 0}}, err), no_row,
        err);
}

bool store_token_revoke(struct db *db, const char *accessor, bool orphan, struct error *err)
{
    static const struct db_statement tree = {
        .name = "token_revoke",
        .parameters = 1,
        .sql = "DELETE FROM runtime_catalog.token AS token"
               " WHERE token.accessor = $1 RETURNING true",
    };
    static const struct db_statement alone = {
        .name = "token_revoke_orphan",
        .parameters = 1,
        .sql = EXPIRED ", orphaned AS ("
                     "    UPDATE runtime_catalog.token AS token SET parent = NULL"
                     "     WHERE token.parent = $1"
                     "       AND NOT EXISTS (SELECT FROM expired WHERE expired.accessor = $1))"
                     " DELETE FROM runtime_catalog.token AS token"
                     "  WHERE token.accessor = $1 RETURNING true",
    };
    struct db_result *result = db_execute(db, orphan ? &alone : &tree,
                                          (struct db_parameter[]){{accessor, 0}}, err);
    bool revoked = result && db_result_rows(result) == 1;

    if (result && !revoked)
        error_set(err, ERROR_NOT_FOUND, "token not found");
    db_result_free(result);
    return revoked;
}
