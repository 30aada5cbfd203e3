/* SPDX-License-Identifier: MIT */
#include "store_token_api.h"

#include "cache_topic.h"
#include "db.h"
#include "store_caller.h"
#include "text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The credential, then the target's hash and accessor. */
enum { HASH = CREDENTIAL_PARAMETERS, ACCESSOR, TARGET_PARAMETERS };

static struct db_parameter text_parameter(const char *text)
{
    return (struct db_parameter){text, 0};
}

static struct db_parameter truth(bool value)
{
    return text_parameter(value ? "true" : "false");
}

typedef char number_text[24];

static struct db_parameter number(number_text out, int64_t value)
{
    text_format(out, sizeof(number_text), "%" PRId64, value);
    return text_parameter(out);
}

bool store_token_api_load_self(struct db *db, const struct credential *credential,
                               const char *type, const char *name, struct arena *arena,
                               struct caller *caller, struct object *object, struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_load_self",
        .parameters = CREDENTIAL_PARAMETERS,
        .sql = STORE_CALLER_SELECT
               ",      runtime_catalog.describe_token(caller.namespace_id, $1, $1, NULL) AS object"
               /* */ STORE_CALLER_FROM,
    };
    struct db_parameter parameters[CREDENTIAL_PARAMETERS];

    (void)type, (void)name;
    credential_parameters(parameters, credential, true);
    return store_caller_load_with(db, &statement, parameters, credential, NULL, arena, caller,
                                  object, err);
}

bool store_token_api_load_accessors(struct db *db, const struct credential *credential,
                                    const char *type, const char *name, struct arena *arena,
                                    struct caller *caller, struct object *object, struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_load_accessors",
        .parameters = CREDENTIAL_PARAMETERS,
        .sql = STORE_CALLER_SELECT
               ",      runtime_catalog.list_accessors(caller.namespace_id) AS object"
               /* */ STORE_CALLER_FROM,
    };
    struct db_parameter parameters[CREDENTIAL_PARAMETERS];

    (void)type, (void)name;
    credential_parameters(parameters, credential, true);
    return store_caller_load_with(db, &statement, parameters, credential, NULL, arena, caller,
                                  object, err);
}

/* Fills parameters[TARGET_PARAMETERS]; hash is memory for one of them. */
static bool target_parameters(struct db_parameter parameters[static TARGET_PARAMETERS],
                              unsigned char hash[static SECRET_HASH_SIZE],
                              const struct credential *credential,
                              const struct token_target *target, struct error *err)
{
    const unsigned char *wanted = target->accessor ? NULL : hash;

    credential_parameters(parameters, credential, false);
    if (target->token && !secret_hash(hash, target->token, strlen(target->token)))
        return error_set(err, ERROR_INTERNAL, "internal error");
    if (!target->token)
        wanted = target->accessor ? NULL : credential->hash;
    parameters[HASH] = (struct db_parameter){(const char *)wanted, SECRET_HASH_SIZE};
    parameters[ACCESSOR] = text_parameter(target->accessor);
    return true;
}

/* The one row of a statement that began with authenticate(). NULL with *err. */
static struct db_result *one_row(struct db *db, const struct db_statement *statement,
                                 const struct db_parameter parameters[], struct error *err)
{
    struct db_result *result = db_execute(db, statement, parameters, err);

    if (result && db_result_rows(result) != 1) {
        db_result_free(result);
        error_set(err, ERROR_PERMISSION_DENIED, ERROR_TEXT_INVALID_TOKEN);
        return NULL;
    }
    return result;
}

/* A JSON about the target; *out NULL: the statement yields null. */
static bool json_of_target(struct db *db, const struct db_statement *statement,
                           const struct credential *credential,
                           const struct token_target *target, json_t **out, struct error *err)
{
    struct db_parameter parameters[TARGET_PARAMETERS];
    unsigned char hash[SECRET_HASH_SIZE];

    *out = NULL;
    if (!target_parameters(parameters, hash, credential, target, err))
        return false;
    struct db_result *result = one_row(db, statement, parameters, err);
    if (!result)
        return false;
    const char *text = db_result_text(result, 0, 0);
    *out = text ? json_loads(text, 0, NULL) : NULL;
    bool good = !text || *out || error_exhausted(err);
    db_result_free(result);
    return good;
}

bool store_token_api_describe(struct db *db, const struct credential *credential,
                              const struct token_target *target, json_t **description,
                              struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_describe",
        .parameters = TARGET_PARAMETERS,
        .sql = "SELECT runtime_catalog.describe_token(caller.namespace_id, $1, $7, $8)"
               /* */ STORE_CALLER_FROM,
    };

    return json_of_target(db, &statement, credential, target, description, err);
}

bool store_token_api_policies(struct db *db, const struct credential *credential,
                              const struct token_target *target, json_t **policies,
                              struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_policies",
        .parameters = TARGET_PARAMETERS,
        .sql = "SELECT runtime_catalog.policies_of_token(caller.namespace_id, $1, $7, $8)"
               /* */ STORE_CALLER_FROM,
    };

    return json_of_target(db, &statement, credential, target, policies, err);
}

bool store_token_api_missing_policies(struct db *db, const struct credential *credential,
                                      const json_t *names, json_t **missing, struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_missing_policies",
        .parameters = CREDENTIAL_PARAMETERS + 1,
        .sql = "SELECT (SELECT coalesce(json_agg(name.name ORDER BY name.name), '[]')"
               "          FROM json_array_elements_text($7::json) AS name (name)"
               "         WHERE name.name NOT IN ('root', 'default')"
               "           AND NOT EXISTS (SELECT FROM runtime_catalog.policy AS policy"
               "                            WHERE policy.namespace_id = caller.namespace_id"
               "                              AND policy.name = name.name))" STORE_CALLER_FROM,
    };
    struct db_parameter parameters[CREDENTIAL_PARAMETERS + 1];
    char *text = json_dumps(names, JSON_COMPACT);

    *missing = NULL;
    if (!text)
        return error_exhausted(err);
    credential_parameters(parameters, credential, false);
    parameters[CREDENTIAL_PARAMETERS] = text_parameter(text);
    struct db_result *result = one_row(db, &statement, parameters, err);
    free(text);
    if (!result)
        return false;
    *missing = json_loads(db_result_text(result, 0, 0), 0, NULL);
    db_result_free(result);
    return *missing || error_exhausted(err);
}

static bool insert(struct db *db, const struct credential *credential,
                   const struct token_plan *plan, const unsigned char *hash, const char *accessor,
                   const char *policies, const char *meta, struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_create",
        .parameters = TARGET_PARAMETERS + 10,
        .sql = "SELECT runtime_catalog.create_token(caller.namespace_id, caller.accessor,"
               "       $7, $8, $9::json, $10::boolean, $11, $12, $13::jsonb, $14::boolean,"
               "       $15::bigint, $16::bigint, $17::bigint, $18::integer)" STORE_CALLER_FROM
               " WHERE caller.namespace_id IS NOT NULL",
    };
    struct db_parameter parameters[TARGET_PARAMETERS + 10];
    struct db_parameter *next = parameters + TARGET_PARAMETERS;
    number_text numbers[4];

    credential_parameters(parameters, credential, false);
    parameters[HASH] = (struct db_parameter){(const char *)hash, SECRET_HASH_SIZE};
    parameters[ACCESSOR] = text_parameter(accessor);
    *next++ = text_parameter(policies);
    *next++ = truth(plan->orphan);
    *next++ = text_parameter(plan->path);
    *next++ = text_parameter(plan->display_name);
    *next++ = text_parameter(meta);
    *next++ = truth(plan->renewable);
    *next++ = number(numbers[0], plan->ttl);
    *next++ = number(numbers[1], plan->explicit_max_ttl);
    *next++ = number(numbers[2], plan->period);
    *next++ = number(numbers[3], plan->num_uses);
    struct db_result *result = one_row(db, &statement, parameters, err);
    bool created = result && db_result_true(result, 0, 0);
    if (result && !created)
        error_set(err, ERROR_PERMISSION_DENIED, ERROR_TEXT_INVALID_TOKEN);
    db_result_free(result);
    return created;
}

bool store_token_api_create(struct db *db, const struct credential *credential,
                            const struct token_plan *plan, char token[static SECRET_TOKEN_TEXT + 1],
                            char accessor[static SECRET_ACCESSOR_TEXT + 1], struct error *err)
{
    unsigned char hash[SECRET_HASH_SIZE];

    if (!secret_token(token) || !secret_accessor(accessor) ||
        !secret_hash(hash, token, strlen(token)))
        return error_set(err, ERROR_INTERNAL, "internal error");
    char *policies = json_dumps(plan->policies, JSON_COMPACT);
    char *meta = plan->meta ? json_dumps(plan->meta, JSON_COMPACT) : NULL;
    bool created = policies && (meta || !plan->meta)
                       ? insert(db, credential, plan, hash, accessor, policies, meta, err)
                       : error_exhausted(err);
    free(policies);
    free(meta);
    return created;
}

static const char *const outcomes[] = {
    [RENEWAL_UNKNOWN] = "unknown",
    [RENEWAL_NO_LEASE] = "no lease",
    [RENEWAL_EXPIRED] = "expired",
    [RENEWAL_NOT_RENEWABLE] = "not renewable",
    [RENEWAL_PAST_MAX] = "past max",
};

static int64_t column_number(const struct db_result *result, unsigned column)
{
    const char *text = db_result_text(result, 0, column);

    return text ? strtoll(text, NULL, 10) : 0;
}

/* From here on nobody is let in by what the target, or one that ends with it, was before, whatever
 * became of the statement. Who named it by its text did not say whose accessor that is. */
static void note_write(const struct credential *credential, const struct token_target *target)
{
    struct cache *cache = credential->cache;
    const char *accessor = target->token ? NULL
                           : target->accessor ? target->accessor
                                              : credential->accessor;

    cache_drop(cache, accessor ? cache_topic_token(cache, accessor) : cache_topic_callers(cache));
}

bool store_token_api_renew(struct db *db, const struct credential *credential,
                           const struct token_target *target, int64_t increment,
                           int64_t max_ttl, struct renewal *renewal, struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_renew",
        .parameters = TARGET_PARAMETERS + 2,
        .sql = "SELECT renewal.refusal, renewal.ttl, renewal.wanted, renewal.bound"
               /* */ STORE_CALLER_FROM ","
               "       LATERAL runtime_catalog.renew_token(caller.namespace_id, $1, $7, $8,"
               "                                           $9::bigint, $10::bigint) AS renewal",
    };
    struct db_parameter parameters[TARGET_PARAMETERS + 2];
    unsigned char hash[SECRET_HASH_SIZE];
    number_text numbers[2];

    *renewal = (struct renewal){.outcome = RENEWAL_DONE};
    if (!target_parameters(parameters, hash, credential, target, err))
        return false;
    parameters[TARGET_PARAMETERS] = number(numbers[0], increment);
    parameters[TARGET_PARAMETERS + 1] = number(numbers[1], max_ttl);
    struct db_result *result = one_row(db, &statement, parameters, err);
    note_write(credential, target);
    if (!result)
        return false;
    const char *refusal = db_result_text(result, 0, 0);
    for (size_t i = RENEWAL_UNKNOWN; refusal && i < sizeof outcomes / sizeof *outcomes; i++) {
        if (strcmp(refusal, outcomes[i]) == 0)
            renewal->outcome = (enum renewal_outcome)i;
    }
    renewal->ttl = column_number(result, 1);
    renewal->wanted = column_number(result, 2);
    renewal->bound = column_number(result, 3);
    db_result_free(result);
    return true;
}

bool store_token_api_revoke(struct db *db, const struct credential *credential,
                            const struct token_target *target, bool keep_children, bool *found,
                            struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_revoke_by_caller",
        .parameters = TARGET_PARAMETERS + 1,
        .sql = "SELECT runtime_catalog.revoke_token(caller.namespace_id, $1, $7, $8, $9::boolean)"
               /* */ STORE_CALLER_FROM,
    };
    struct db_parameter parameters[TARGET_PARAMETERS + 1];
    unsigned char hash[SECRET_HASH_SIZE];

    *found = false;
    if (!target_parameters(parameters, hash, credential, target, err))
        return false;
    parameters[TARGET_PARAMETERS] = truth(keep_children);
    struct db_result *result = one_row(db, &statement, parameters, err);
    note_write(credential, target);
    if (result)
        *found = db_result_true(result, 0, 0);
    db_result_free(result);
    return result != NULL;
}

bool store_token_api_tidy(struct db *db, const struct credential *credential, unsigned batch,
                          unsigned *count, struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_tidy_by_caller",
        .parameters = CREDENTIAL_PARAMETERS + 1,
        .sql = "SELECT runtime_catalog.tidy_namespace(caller.namespace_id, $7::integer)"
               /* */ STORE_CALLER_FROM,
    };
    struct db_parameter parameters[CREDENTIAL_PARAMETERS + 1];
    number_text text;

    credential_parameters(parameters, credential, false);
    parameters[CREDENTIAL_PARAMETERS] = number(text, batch);
    struct db_result *result = one_row(db, &statement, parameters, err);
    cache_drop(credential->cache, cache_topic_callers(credential->cache));
    *count = result ? (unsigned)column_number(result, 0) : 0;
    db_result_free(result);
    return result != NULL;
}

bool store_token_api_tidy_all(struct db *db, unsigned batch, unsigned *count, struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_tidy",
        .parameters = 1,
        .sql = "SELECT runtime_catalog.tidy_tokens($1::integer)",
    };
    number_text text;
    struct db_result *result =
        db_execute(db, &statement, (struct db_parameter[]){number(text, batch)}, err);

    *count = result ? (unsigned)column_number(result, 0) : 0;
    db_result_free(result);
    return result != NULL;
}
