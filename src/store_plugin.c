/* SPDX-License-Identifier: MIT */
#include "store_plugin.h"

#include "cache_topic.h"
#include "db.h"
#include "store_caller.h"

#include <stdlib.h>

/* The credential's parameters, then the key. */
enum { TYPE = CREDENTIAL_PARAMETERS, NAME, PLUGIN_VERSION, KEY_PARAMETERS };

static bool load(struct db *db, const struct db_statement *statement,
                 const struct credential *credential, enum cache_kind kind, const char *type,
                 const char *name, struct arena *arena, struct caller *caller,
                 struct object *object, struct error *err)
{
    const struct store_object what = {kind, type, name, .as_text = false};
    struct db_parameter parameters[KEY_PARAMETERS];

    credential_parameters(parameters, credential, true);
    parameters[TYPE] = (struct db_parameter){type, 0};
    parameters[NAME] = (struct db_parameter){name, 0};
    return store_caller_load_with(db, statement, parameters, credential, &what, arena, caller,
                                  object, err);
}

bool store_plugin_load(struct db *db, const struct credential *credential, const char *type,
                       const char *name, struct arena *arena, struct caller *caller,
                       struct object *object, struct error *err)
{
    static const struct db_statement statement = {
        .name = "plugin_load",
        .parameters = NAME + 1,
        .sql = STORE_CALLER_SELECT
               ",      (SELECT json_object_agg(plugin.version, json_strip_nulls(json_build_object("
               "                   'args',      plugin.args,"
               "                   'builtin',   false,"
               "                   'command',   plugin.command,"
               "                   'name',      plugin.name,"
               "                   'oci_image', nullif(plugin.oci_image, ''),"
               "                   'runtime',   plugin.runtime_name,"
               "                   'sha256',    coalesce(encode(plugin.sha256, 'hex'), ''),"
               "                   'version',   plugin.version)))"
               "          FROM runtime_catalog.plugin AS plugin"
               "         WHERE plugin.namespace_id = caller.namespace_id"
               "           AND plugin.type = $7"
               "           AND plugin.name = $8) AS object" STORE_CALLER_FROM,
    };

    return load(db, &statement, credential, CACHE_PLUGIN, type, name, arena, caller, object,
                err);
}

bool store_plugin_load_all(struct db *db, const struct credential *credential, const char *type,
                           const char *name, struct arena *arena, struct caller *caller,
                           struct object *object, struct error *err)
{
    static const struct db_statement statement = {
        .name = "plugin_load_all",
        .parameters = CREDENTIAL_PARAMETERS,
        .sql = STORE_CALLER_SELECT
               ",      (SELECT coalesce(json_agg(json_strip_nulls(json_build_object("
               "                   'builtin',   false,"
               "                   'name',      plugin.name,"
               "                   'oci_image', nullif(plugin.oci_image, ''),"
               "                   'runtime',   plugin.runtime_name,"
               "                   'sha256',    encode(plugin.sha256, 'hex'),"
               "                   'type',      plugin.type,"
               "                   'version',   plugin.version))"
               "               ORDER BY plugin.type, plugin.name, plugin.version), '[]')"
               "          FROM runtime_catalog.plugin AS plugin"
               "         WHERE plugin.namespace_id = caller.namespace_id) AS object"
               /* */ STORE_CALLER_FROM,
    };

    (void)type, (void)name;
    return load(db, &statement, credential, CACHE_PLUGIN_LIST, NULL, NULL, arena, caller, object,
                err);
}

bool store_plugin_load_names(struct db *db, const struct credential *credential,
                             const char *type, const char *name, struct arena *arena,
                             struct caller *caller, struct object *object, struct error *err)
{
    static const struct db_statement statement = {
        .name = "plugin_load_names",
        .parameters = TYPE + 1,
        .sql = STORE_CALLER_SELECT
               ",      (SELECT coalesce(json_agg(plugin.name ORDER BY plugin.name), '[]')"
               "          FROM runtime_catalog.plugin AS plugin"
               "         WHERE plugin.namespace_id = caller.namespace_id"
               "           AND plugin.type = $7"
               "           AND plugin.version = '') AS object" STORE_CALLER_FROM,
    };

    (void)name;
    return load(db, &statement, credential, CACHE_PLUGIN_NAMES, type, NULL, arena, caller,
                object, err);
}

/* Writes: runs a statement that yields a row for a caller who is known. From then on nobody is
 * told what was before, whatever became of it. */
static bool execute(struct db *db, const struct db_statement *statement,
                    const struct db_parameter parameters[],
                    const struct credential *credential, struct error *err)
{
    struct db_result *result = db_execute(db, statement, parameters, err);
    struct cache *cache = credential->cache;

    cache_drop(cache, cache_topic_plugins(cache, credential->namespace_id));
    bool known = result && db_result_rows(result) == 1;

    if (result && !known)
        error_set(err, ERROR_PERMISSION_DENIED, ERROR_TEXT_INVALID_TOKEN);
    db_result_free(result);
    return known;
}

static void key_parameters(struct db_parameter parameters[static KEY_PARAMETERS],
                           const struct credential *credential, const char *type,
                           const char *name, const char *version)
{
    credential_parameters(parameters, credential, false);
    parameters[TYPE] = (struct db_parameter){type, 0};
    parameters[NAME] = (struct db_parameter){name, 0};
    parameters[PLUGIN_VERSION] = (struct db_parameter){version, 0};
}

/* excluded.env would need the right to read env. */
#define STRINGS(parameter) "ARRAY(SELECT json_array_elements_text(" parameter "::json))"

bool store_plugin_put(struct db *db, const struct credential *credential,
                      const struct plugin *plugin, struct error *err)
{
    enum { COMMAND = KEY_PARAMETERS, ARGS, ENV, SHA256, OCI_IMAGE, RUNTIME, PARAMETERS };
    static const struct db_statement statement = {
        .name = "plugin_put",
        .parameters = PARAMETERS,
        .sql = "INSERT INTO runtime_catalog.plugin AS plugin"
               "       (namespace_id, type, name, version, command, args, env, sha256,"
               "        oci_image, runtime_type, runtime_name)"
               " SELECT caller.namespace_id, $7, $8, $9, $10, " STRINGS("$11") ", "
               /* */ STRINGS("$12") ", $13::bytea, $14,"
               "        CASE WHEN $15::text IS NOT NULL THEN 'container' END, $15::text"
               /* */ STORE_CALLER_FROM
               "  WHERE caller.namespace_id IS NOT NULL"
               "     ON CONFLICT (namespace_id, type, name, version) DO UPDATE"
               "    SET command      = excluded.command,"
               "        args         = excluded.args,"
               "        env          = " STRINGS("$12") ","
               "        sha256       = excluded.sha256,"
               "        oci_image    = excluded.oci_image,"
               "        runtime_type = excluded.runtime_type,"
               "        runtime_name = excluded.runtime_name,"
               "        updated_at   = now()"
               " RETURNING true",
    };
    struct db_parameter parameters[PARAMETERS];
    char *args = json_dumps(plugin->args, 0), *env = json_dumps(plugin->env, 0);

    key_parameters(parameters, credential, plugin->type, plugin->name, plugin->version);
    parameters[COMMAND] = (struct db_parameter){plugin->command, 0};
    parameters[ARGS] = (struct db_parameter){args, 0};
    parameters[ENV] = (struct db_parameter){env, 0};
    parameters[SHA256] = plugin->sha256
                             ? (struct db_parameter){(const char *)plugin->sha256, PLUGIN_SHA256_SIZE}
                             : (struct db_parameter){NULL, 0};
    parameters[OCI_IMAGE] = (struct db_parameter){plugin->oci_image, 0};
    parameters[RUNTIME] = (struct db_parameter){plugin->runtime, 0};
    bool stored = args && env ? execute(db, &statement, parameters, credential, err) : error_exhausted(err);
    free(args);
    free(env);
    /* Here the foreign key has but one thing to refuse. Vault's words, without its pointer. */
    if (!stored && err->code == ERROR_IN_USE)
        error_set(err, ERROR_BAD_REQUEST,
                  "specified plugin runtime \"%s\", but failed to retrieve config: plugin "
                  "runtime not found",
                  plugin->runtime);
    return stored;
}

bool store_plugin_delete(struct db *db, const struct credential *credential, const char *type,
                         const char *name, const char *version, struct error *err)
{
    static const struct db_statement statement = {
        .name = "plugin_delete",
        .parameters = KEY_PARAMETERS,
        .sql = "SELECT runtime_catalog.delete_plugin(caller.namespace_id, $7, $8, $9)"
               /* */ STORE_CALLER_FROM,
    };
    struct db_parameter parameters[KEY_PARAMETERS];

    key_parameters(parameters, credential, type, name, version);
    return execute(db, &statement, parameters, credential, err);
}
