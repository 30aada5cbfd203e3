/* SPDX-License-Identifier: MIT */
#include "store_token.h"

#include "arena.h"

#include <string.h>

void credential_parameters(struct db_parameter parameters[static CREDENTIAL_PARAMETERS],
                           const struct credential *credential, bool spend)
{
    parameters[0] = (struct db_parameter){(const char *)credential->hash, SECRET_HASH_SIZE};
    parameters[1] = (struct db_parameter){credential->site, 0};
    parameters[2] = (struct db_parameter){credential->named, 0};
    parameters[3] = (struct db_parameter){credential->address, 0};
    parameters[4] = (struct db_parameter){credential->request_id, 0};
    parameters[5] = (struct db_parameter){spend ? "true" : "false", 0};
}

void caller_fini(struct caller *caller)
{
    json_decref(caller->policies);
    caller->policies = NULL;
}

/* The columns of STORE_TOKEN_SELECT, in order, and the object after them. */
enum { ACCESSOR, TOKEN_NAMESPACE, NAMESPACE_EXISTS, ADDRESS_ALLOWED, POLICIES, OBJECT };

static bool read_json(const struct db_result *result, unsigned column, json_t **out,
                      struct error *err)
{
    const char *text = db_result_text(result, 0, column);

    *out = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    return !text || *out || error_exhausted(err);
}

static bool read_caller(const struct db_result *result, struct arena *arena,
                        struct caller *caller, struct error *err)
{
    caller->known = db_result_rows(result) == 1;
    caller->address_allowed = caller->known && db_result_true(result, 0, ADDRESS_ALLOWED);
    if (!caller->address_allowed)
        return true;
    caller->namespace_exists = db_result_true(result, 0, NAMESPACE_EXISTS);
    caller->accessor = arena_strdup(arena, db_result_text(result, 0, ACCESSOR));
    caller->token_namespace = arena_strdup(arena, db_result_text(result, 0, TOKEN_NAMESPACE));
    if (!caller->accessor || !caller->token_namespace)
        return error_exhausted(err);
    return read_json(result, POLICIES, &caller->policies, err);
}

bool store_token_load_with(struct db *db, const struct db_statement *statement,
                           const struct db_parameter parameters[], struct arena *arena,
                           struct caller *caller, json_t **object, struct error *err)
{
    struct db_result *result = db_execute(db, statement, parameters, err);

    *caller = (struct caller){.known = false};
    if (object)
        *object = NULL;
    if (!result)
        return false;
    bool read = read_caller(result, arena, caller, err);
    if (read && object && caller->address_allowed)
        read = read_json(result, OBJECT, object, err);
    db_result_free(result);
    return read;
}

bool store_token_load(struct db *db, const struct credential *credential, struct arena *arena,
                      struct caller *caller, struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_load",
        .parameters = CREDENTIAL_PARAMETERS,
        .sql = STORE_TOKEN_SELECT STORE_TOKEN_FROM,
    };
    struct db_parameter parameters[CREDENTIAL_PARAMETERS];

    credential_parameters(parameters, credential, true);
    return store_token_load_with(db, &statement, parameters, arena, caller, NULL, err);
}

/* Policies travel as a JSON array, so that no name needs quoting. */
static char *policies_json(const struct token_issue *issue)
{
    json_t *names = json_array();

    for (size_t i = 0; i < issue->policies_count; i++)
        json_array_append_new(names, json_string(issue->policies[i]));
    bool complete = json_array_size(names) == issue->policies_count;
    char *text = complete ? json_dumps(names, JSON_COMPACT) : NULL;
    json_decref(names);
    return text;
}

bool store_token_issue(struct db *db, const struct token_issue *issue,
                       char token[static SECRET_TOKEN_TEXT + 1],
                       char accessor[static SECRET_ACCESSOR_TEXT + 1], struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_issue",
        .parameters = 6,
        .sql = "INSERT INTO runtime_catalog.token"
               "       (hash, accessor, namespace_id, policies, expires_at, display_name)"
               " SELECT $1, $2, namespace.id,"
               "        array(SELECT * FROM json_array_elements_text($4::json)),"
               "        now() + make_interval(secs => $5::double precision), $6"
               "   FROM runtime_catalog.namespace AS namespace"
               "  WHERE namespace.path = $3"
               " RETURNING accessor",
    };
    unsigned char hash[SECRET_HASH_SIZE];

    if (!secret_token(token) || !secret_accessor(accessor) ||
        !secret_hash(hash, token, strlen(token)))
        return error_set(err, ERROR_INTERNAL, "the system's random source failed");
    char *policies = policies_json(issue);
    if (!policies)
        return error_exhausted(err);
    struct db_result *result = db_execute(db, &statement,
                                          (struct db_parameter[]){
                                              {(const char *)hash, sizeof hash},
                                              {accessor, 0},
                                              {issue->namespace_path, 0},
                                              {policies, 0},
                                              {issue->ttl, 0},
                                              {issue->display_name, 0},
                                          },
                                          err);
    free(policies);
    bool stored = result && db_result_rows(result) == 1;
    if (result && !stored)
        error_set(err, ERROR_NOT_FOUND, "namespace \"%s\" does not exist",
                  issue->namespace_path);
    db_result_free(result);
    return stored;
}
