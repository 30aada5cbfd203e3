/* SPDX-License-Identifier: MIT
 *
 * Runtimes in PostgreSQL, one function a statement. A load also finds the caller, in the same
 * statement and so in the same moment; a write requires the token's row itself and does not
 * rest on an earlier load.
 */
#ifndef STORE_RUNTIME_H
#define STORE_RUNTIME_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct arena;
struct caller;
struct credential;
struct db;
struct object;

/* As route.h's load_function has it. False: the storage failed, with *err. What is loaded may come
 * from memory. */

/* *object: the runtime's keys in the API's order, as text, or none: there is none. */
bool store_runtime_load(struct db *db, const struct credential *credential, const char *type,
                        const char *name, struct arena *arena, struct caller *caller,
                        struct object *object, struct error *err)
    __attribute__((warn_unused_result));

/* *plugins: an array of the names of the plugins that refer to the runtime, sorted by type, name
 * and version; a plugin with two versions is named twice. Ours. Takes no use of the token. */
bool store_runtime_plugins(struct db *db, const struct credential *credential, const char *type,
                           const char *name, json_t **plugins, struct error *err)
    __attribute__((warn_unused_result));

struct runtime {
    const char *type;
    const char *name;
    const char *oci_runtime;
    const char *cgroup_parent;
    int64_t cpu_nanos;
    int64_t memory_bytes;
    bool rootless;
};

/* Stores the whole record, over an older one of that key if there is one. False with *err:
 * ERROR_PERMISSION_DENIED if the token went meanwhile. */
bool store_runtime_put(struct db *db, const struct credential *credential,
                       const struct runtime *runtime, struct error *err)
    __attribute__((warn_unused_result));

/* Deletes. False with *err: ERROR_NOT_FOUND if there is none, ERROR_IN_USE if a plugin refers
 * to it, ERROR_PERMISSION_DENIED if the token went meanwhile. */
bool store_runtime_delete(struct db *db, const struct credential *credential, const char *type,
                          const char *name, struct error *err)
    __attribute__((warn_unused_result));

#endif
