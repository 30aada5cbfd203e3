/* SPDX-License-Identifier: MIT */
#include "store_namespace_api.h"

#include "cache_topic.h"
#include "db.h"
#include "store_namespace.h"
#include "store_caller.h"

#include <stdlib.h>

enum { NAME = CREDENTIAL_PARAMETERS, METADATA, PARAMETERS };

bool store_namespace_api_load(struct db *db, const struct credential *credential,
                              const char *type, const char *name, struct arena *arena,
                              struct caller *caller, struct object *object, struct error *err)
{
    static const struct db_statement statement = {
        .name = "namespace_load",
        .parameters = NAME + 1,
        .sql = STORE_CALLER_SELECT
               ",      runtime_catalog.describe_namespace(caller.namespace_id, rtrim($7, '/'), $2)"
               "           AS object" STORE_CALLER_FROM,
    };
    struct db_parameter parameters[PARAMETERS];

    (void)type;
    credential_parameters(parameters, credential, true);
    parameters[NAME] = (struct db_parameter){name, 0};
    return store_caller_load_with(db, &statement, parameters, credential, NULL, arena, caller,
                                  object, err);
}

bool store_namespace_api_load_list(struct db *db, const struct credential *credential,
                                   const char *type, const char *name, struct arena *arena,
                                   struct caller *caller, struct object *object, struct error *err)
{
    static const struct db_statement statement = {
        .name = "namespace_load_list",
        .parameters = CREDENTIAL_PARAMETERS,
        .sql = STORE_CALLER_SELECT
               ",      runtime_catalog.list_namespaces(caller.namespace_id, $2) AS object"
               /* */ STORE_CALLER_FROM,
    };
    struct db_parameter parameters[CREDENTIAL_PARAMETERS];

    (void)type, (void)name;
    credential_parameters(parameters, credential, true);
    return store_caller_load_with(db, &statement, parameters, credential, NULL, arena, caller,
                                  object, err);
}

/* Writes: runs a statement that yields a row for a caller who is known. NULL with *err. From then
 * on nobody is let into a namespace that may be gone. */
static struct db_result *execute(struct db *db, const struct db_statement *statement,
                                 const struct credential *credential, const char *name,
                                 const char *metadata, struct error *err)
{
    struct db_parameter parameters[PARAMETERS];

    credential_parameters(parameters, credential, false);
    parameters[NAME] = (struct db_parameter){name, 0};
    parameters[METADATA] = (struct db_parameter){metadata, 0};
    struct db_result *result = db_execute(db, statement, parameters, err);
    cache_drop(credential->cache, cache_topic_callers(credential->cache));
    if (!result || db_result_rows(result) == 1)
        return result;
    db_result_free(result);
    error_set(err, ERROR_PERMISSION_DENIED, ERROR_TEXT_INVALID_TOKEN);
    return NULL;
}

/* The same for one that describes a namespace. */
static bool describe(struct db *db, const struct db_statement *statement,
                     const struct credential *credential, const char *name,
                     const json_t *metadata, json_t **description, struct error *err)
{
    char *text = metadata ? json_dumps(metadata, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    struct db_result *result = NULL;

    *description = NULL;
    if (metadata && !text)
        return error_exhausted(err);
    result = execute(db, statement, credential, name, text, err);
    free(text);
    if (!result)
        return false;
    const char *json = db_result_text(result, 0, 0);
    *description = json ? json_loads(json, 0, NULL) : NULL;
    bool good = !json || *description || error_exhausted(err);
    db_result_free(result);
    return good;
}

bool store_namespace_api_put(struct db *db, const struct credential *credential,
                             const char *name, const json_t *metadata, json_t **description,
                             struct error *err)
{
    static const struct db_statement statement = {
        .name = "namespace_put_by_caller",
        .parameters = PARAMETERS,
        .sql = "SELECT runtime_catalog.create_namespace(caller.namespace_id, $7, $8::jsonb, $2)"
               /* */ STORE_CALLER_FROM,
    };

    return describe(db, &statement, credential, name, metadata, description, err);
}

bool store_namespace_api_patch(struct db *db, const struct credential *credential,
                               const char *name, const json_t *patch, json_t **description,
                               struct error *err)
{
    static const struct db_statement statement = {
        .name = "namespace_patch_by_caller",
        .parameters = PARAMETERS,
        .sql = "SELECT runtime_catalog.patch_namespace(caller.namespace_id, $7, $8::jsonb, $2)"
               /* */ STORE_CALLER_FROM,
    };

    return describe(db, &statement, credential, name, patch, description, err);
}

bool store_namespace_api_delete(struct db *db, const struct credential *credential,
                                const char *name, bool *existed, struct error *err)
{
    static const struct db_statement statement = {
        .name = "namespace_delete_by_caller",
        .parameters = NAME + 1,
        .sql = "SELECT deleted.existed, deleted.holds" STORE_CALLER_FROM ","
               " LATERAL runtime_catalog.delete_namespace(caller.namespace_id, $7) AS deleted",
    };
    struct db_result *result = execute(db, &statement, credential, name, NULL, err);

    return result && store_namespace_deleted(result, name, existed, err);
}
