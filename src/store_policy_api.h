/* SPDX-License-Identifier: MIT
 *
 * Policies over the API: through a credential, in its namespace. What the operator's tool does
 * stands in store_policy.h.
 */
#ifndef STORE_POLICY_API_H
#define STORE_POLICY_API_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>

struct arena;
struct caller;
struct credential;
struct db;
struct object;

/* Loads for route.c's table: the caller, and as *object the text of the policy name, lower case
 * or not (NULL: it is not stored), or the names of all that are stored, sorted. False: the
 * storage failed, with *err. */
bool store_policy_api_load(struct db *db, const struct credential *credential, const char *type,
                           const char *name, struct arena *arena, struct caller *caller,
                           struct object *object, struct error *err) __attribute__((warn_unused_result));
bool store_policy_api_load_list(struct db *db, const struct credential *credential,
                                const char *type, const char *name, struct arena *arena,
                                struct caller *caller, struct object *object, struct error *err)
    __attribute__((warn_unused_result));

/* Stores a policy, over an older one. name is in lower case, and the text compiles. False with
 * *err: ERROR_PERMISSION_DENIED if the caller's token went meanwhile. */
bool store_policy_api_put(struct db *db, const struct credential *credential, const char *name,
                          const char *text, struct error *err)
    __attribute__((warn_unused_result));

/* Deletes one, if there is one. False as above. */
bool store_policy_api_delete(struct db *db, const struct credential *credential,
                             const char *name, struct error *err)
    __attribute__((warn_unused_result));

#endif
