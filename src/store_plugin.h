/* SPDX-License-Identifier: MIT
 *
 * Plugins in PostgreSQL, in the manner of store_runtime.h. A plugin's environment is written
 * and never read: it may hold secrets, and the API does not show it.
 */
#ifndef STORE_PLUGIN_H
#define STORE_PLUGIN_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>

struct arena;
struct caller;
struct credential;
struct db;
struct object;

/* The three loads have one shape (route.h's load_function). False: the storage failed, with
 * *err. *object is ours. */

/* *object: the plugin's versions, each with the keys of the API in their order there; the one
 * without a version as "". NULL: there is no plugin of that type and name. */
bool store_plugin_load(struct db *db, const struct credential *credential, const char *type,
                       const char *name, struct arena *arena, struct caller *caller,
                       struct object *object, struct error *err) __attribute__((warn_unused_result));

/* *object: an array of all plugins and versions, whatever type and name say, sorted by type and
 * name. */
bool store_plugin_load_all(struct db *db, const struct credential *credential, const char *type,
                           const char *name, struct arena *arena, struct caller *caller,
                           struct object *object, struct error *err)
    __attribute__((warn_unused_result));

/* *object: an array of the names of a type's plugins, sorted; as in Vault only of those that
 * were registered without a version. name is not looked at. */
bool store_plugin_load_names(struct db *db, const struct credential *credential,
                             const char *type, const char *name, struct arena *arena,
                             struct caller *caller, struct object *object, struct error *err)
    __attribute__((warn_unused_result));

enum { PLUGIN_SHA256_SIZE = 32 };

struct plugin {
    const char *type;
    const char *name;
    const char *version; /* canonical; "": none */
    const char *command;
    const json_t *args; /* array of strings */
    const json_t *env;  /* likewise */
    const unsigned char *sha256; /* [PLUGIN_SHA256_SIZE]; NULL: not given */
    const char *oci_image;
    const char *runtime; /* the name of a container runtime; NULL: none */
};

/* Stores the whole record, over an older one of that key if there is one. False with *err:
 * ERROR_BAD_REQUEST if there is no such runtime, ERROR_PERMISSION_DENIED if the token went
 * meanwhile. */
bool store_plugin_put(struct db *db, const struct credential *credential,
                      const struct plugin *plugin, struct error *err)
    __attribute__((warn_unused_result));

/* Deletes one version, or the plugin without a version; that there is none is no failure. False
 * with *err: ERROR_PERMISSION_DENIED if the token went meanwhile. */
bool store_plugin_delete(struct db *db, const struct credential *credential, const char *type,
                         const char *name, const char *version, struct error *err)
    __attribute__((warn_unused_result));

#endif
