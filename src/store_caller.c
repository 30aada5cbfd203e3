/* SPDX-License-Identifier: MIT */
#include "store_caller.h"

#include "arena.h"

void credential_parameters(struct db_parameter parameters[static CREDENTIAL_PARAMETERS],
                           const struct credential *credential, bool spend)
{
    parameters[0] = (struct db_parameter){(const char *)credential->hash, SECRET_HASH_SIZE};
    parameters[1] = (struct db_parameter){credential->site, 0};
    parameters[2] = (struct db_parameter){credential->named, 0};
    parameters[3] = (struct db_parameter){credential->address, 0};
    parameters[4] = (struct db_parameter){credential->request_id, 0};
    parameters[5] = (struct db_parameter){!spend               ? "false"
                                          : credential->is_free ? NULL
                                                                : "true",
                                          0};
}

void caller_fini(struct caller *caller)
{
    json_decref(caller->policies);
    caller->policies = NULL;
}

/* The columns of STORE_CALLER_SELECT, in order, and the object after them. */
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

bool store_caller_load_with(struct db *db, const struct db_statement *statement,
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

bool store_caller_load(struct db *db, const struct credential *credential, struct arena *arena,
                       struct caller *caller, struct error *err)
{
    static const struct db_statement statement = {
        .name = "token_load",
        .parameters = CREDENTIAL_PARAMETERS,
        .sql = STORE_CALLER_SELECT STORE_CALLER_FROM,
    };
    struct db_parameter parameters[CREDENTIAL_PARAMETERS];

    credential_parameters(parameters, credential, true);
    return store_caller_load_with(db, &statement, parameters, arena, caller, NULL, err);
}
