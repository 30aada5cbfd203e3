/* SPDX-License-Identifier: MIT
 *
 * Namespaces over the API: through a credential, those directly below its own. What the
 * operator's tool does stands in store_namespace.h.
 */
#ifndef STORE_NAMESPACE_API_H
#define STORE_NAMESPACE_API_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>

struct arena;
struct caller;
struct credential;
struct db;
struct object;

/* Loads for route.c's table: the caller, and as *object what the API says of the namespace name,
 * a slash behind it or not (NULL: there is none), or of all, under `keys` and `key_info`. Their
 * paths begin below the site's. False: the storage failed, with *err. */
bool store_namespace_api_load(struct db *db, const struct credential *credential,
                              const char *type, const char *name, struct arena *arena,
                              struct caller *caller, struct object *object, struct error *err)
    __attribute__((warn_unused_result));
bool store_namespace_api_load_list(struct db *db, const struct credential *credential,
                                   const char *type, const char *name, struct arena *arena,
                                   struct caller *caller, struct object *object, struct error *err)
    __attribute__((warn_unused_result));

/* Creates a namespace, or gives one that exists these metadata, an object of texts; NULL: none
 * are given. *description is ours; NULL: the credential's namespace went meanwhile. False with
 * *err: ERROR_PERMISSION_DENIED if the caller's token did, ERROR_BAD_REQUEST if the name or the
 * metadata are not what the table allows. */
bool store_namespace_api_put(struct db *db, const struct credential *credential,
                             const char *name, const json_t *metadata, json_t **description,
                             struct error *err) __attribute__((warn_unused_result));

/* Merges a patch into the metadata: texts, nulls for what goes, or null for all of it.
 * *description as above; NULL: there is no such namespace. */
bool store_namespace_api_patch(struct db *db, const struct credential *credential,
                               const char *name, const json_t *patch, json_t **description,
                               struct error *err) __attribute__((warn_unused_result));

/* Deletes one; *existed: whether there was one. False with *err: ERROR_PERMISSION_DENIED as
 * above, ERROR_IN_USE, which says what it still holds. */
bool store_namespace_api_delete(struct db *db, const struct credential *credential,
                                const char *name, bool *existed, struct error *err)
    __attribute__((warn_unused_result));

#endif
