/* SPDX-License-Identifier: MIT
 *
 * Each object is read by a subquery in the SELECT list: it runs after authenticate() returned
 * its row, when row-level security knows the namespace. As a join the planner might read the
 * table first.
 */
#include "store_runtime.h"

#include "cache_topic.h"
#include "db.h"
#include "store_caller.h"
#include "store_runtime_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A load's parameters: the credential's, then type and name. */
enum { TYPE = CREDENTIAL_PARAMETERS, NAME, LOAD_PARAMETERS };

/* The keys of a runtime in the API, in their order there. */
#define RUNTIME_JSON                                                                         \
    "json_build_object('cgroup_parent', runtime.cgroup_parent,"                              \
    "                  'cpu_nanos',     runtime.cpu_nanos,"                                  \
    "                  'memory_bytes',  runtime.memory_bytes,"                               \
    "                  'name',          runtime.name,"                                       \
    "                  'oci_runtime',   runtime.oci_runtime,"                                \
    "                  'rootless',      runtime.rootless,"                                   \
    "                  'type',          runtime.type)"

/* The token was there when the request was authorised and is not now. */
static bool token_gone(struct error *err)
{
    return error_set(err, ERROR_PERMISSION_DENIED, ERROR_TEXT_INVALID_TOKEN);
}

bool store_runtime_load(struct db *db, const struct credential *credential, const char *type,
                        const char *name, struct arena *arena, struct caller *caller,
                        struct object *object, struct error *err)
{
    static const struct db_statement statement = {
        .name = "runtime_load",
        .parameters = LOAD_PARAMETERS,
        .sql = STORE_CALLER_SELECT
               ",      (SELECT " RUNTIME_JSON
               "          FROM runtime_catalog.runtime AS runtime"
               "         WHERE runtime.namespace_id = caller.namespace_id"
               "           AND runtime.type = $7"
               "           AND runtime.name = $8) AS object" STORE_CALLER_FROM,
    };
    const struct store_object what = {CACHE_RUNTIME, type, name, .as_text = true,
                                      .find = store_runtime_find};
    struct db_parameter parameters[LOAD_PARAMETERS];

    credential_parameters(parameters, credential, true);
    parameters[TYPE] = (struct db_parameter){type, 0};
    parameters[NAME] = (struct db_parameter){name, 0};
    return store_caller_load_with(db, &statement, parameters, credential, &what, arena, caller,
                                  object, err);
}

bool store_runtime_plugins(struct db *db, const struct credential *credential, const char *type,
                           const char *name, json_t **plugins, struct error *err)
{
    static const struct db_statement statement = {
        .name = "runtime_plugins",
        .parameters = LOAD_PARAMETERS,
        .sql = "SELECT (SELECT coalesce(json_agg(plugin.name ORDER BY plugin.type, plugin.name,"
               "                                                      plugin.version), '[]')"
               "          FROM runtime_catalog.plugin AS plugin"
               "         WHERE plugin.namespace_id = caller.namespace_id"
               "           AND plugin.runtime_type = $7"
               "           AND plugin.runtime_name = $8)" STORE_CALLER_FROM,
    };
    struct db_parameter parameters[LOAD_PARAMETERS];

    credential_parameters(parameters, credential, false);
    parameters[TYPE] = (struct db_parameter){type, 0};
    parameters[NAME] = (struct db_parameter){name, 0};
    struct db_result *result = db_execute(db, &statement, parameters, err);
    bool known = result && db_result_rows(result) == 1;
    const char *text = known ? db_result_text(result, 0, 0) : NULL;
    *plugins = text ? json_loads(text, 0, NULL) : NULL;
    db_result_free(result);
    if (result && !known)
        return token_gone(err);
    return result && (*plugins || error_exhausted(err));
}

/* From here on nobody is told what was before, whatever became of the statement. */
static void note_write(const struct credential *credential, const char *type, const char *name)
{
    struct cache *cache = credential->cache;

    cache_drop(cache, cache_topic_runtime(cache, credential->namespace_id, type, name));
    cache_drop(cache, cache_topic_runtimes(cache, credential->namespace_id));
}

bool store_runtime_put(struct db *db, const struct credential *credential,
                       const struct runtime *runtime, struct error *err)
{
    static const struct db_statement statement = {
        .name = "runtime_put",
        .parameters = CREDENTIAL_PARAMETERS + 7,
        .sql = "INSERT INTO runtime_catalog.runtime AS runtime"
               "       (namespace_id, type, name, oci_runtime, cgroup_parent, cpu_nanos,"
               "        memory_bytes, rootless)"
               " SELECT caller.namespace_id, $7, $8, $9, $10, $11::bigint, $12::bigint,"
               "        $13::boolean" STORE_CALLER_FROM
               "  WHERE caller.namespace_id IS NOT NULL"
               "     ON CONFLICT (namespace_id, type, name) DO UPDATE"
               "    SET oci_runtime   = excluded.oci_runtime,"
               "        cgroup_parent = excluded.cgroup_parent,"
               "        cpu_nanos     = excluded.cpu_nanos,"
               "        memory_bytes  = excluded.memory_bytes,"
               "        rootless      = excluded.rootless,"
               "        updated_at    = excluded.updated_at"
               " RETURNING true",
    };
    struct db_parameter parameters[CREDENTIAL_PARAMETERS + 7];
    char cpu_nanos[24], memory_bytes[24];

    snprintf(cpu_nanos, sizeof cpu_nanos, "%" PRId64, runtime->cpu_nanos);
    snprintf(memory_bytes, sizeof memory_bytes, "%" PRId64, runtime->memory_bytes);
    credential_parameters(parameters, credential, false);
    parameters[TYPE] = (struct db_parameter){runtime->type, 0};
    parameters[NAME] = (struct db_parameter){runtime->name, 0};
    parameters[8] = (struct db_parameter){runtime->oci_runtime, 0};
    parameters[9] = (struct db_parameter){runtime->cgroup_parent, 0};
    parameters[10] = (struct db_parameter){cpu_nanos, 0};
    parameters[11] = (struct db_parameter){memory_bytes, 0};
    parameters[12] = (struct db_parameter){runtime->rootless ? "true" : "false", 0};
    struct db_result *result = db_execute(db, &statement, parameters, err);
    note_write(credential, runtime->type, runtime->name);
    bool stored = result && db_result_rows(result) == 1;
    if (result && !stored)
        token_gone(err);
    db_result_free(result);
    return stored;
}

bool store_runtime_delete(struct db *db, const struct credential *credential, const char *type,
                          const char *name, struct error *err)
{
    static const struct db_statement statement = {
        .name = "runtime_delete",
        .parameters = LOAD_PARAMETERS,
        .sql = "SELECT runtime_catalog.delete_runtime(caller.namespace_id, $7, $8)"
               /* */ STORE_CALLER_FROM,
    };
    struct db_parameter parameters[LOAD_PARAMETERS];

    credential_parameters(parameters, credential, false);
    parameters[TYPE] = (struct db_parameter){type, 0};
    parameters[NAME] = (struct db_parameter){name, 0};
    struct db_result *result = db_execute(db, &statement, parameters, err);
    note_write(credential, type, name);
    if (!result)
        return false;
    bool known = db_result_rows(result) == 1;
    bool deleted = known && db_result_true(result, 0, 0);
    db_result_free(result);
    if (!known)
        return token_gone(err);
    return deleted || error_set(err, ERROR_NOT_FOUND, "runtime \"%s\" does not exist", name);
}
