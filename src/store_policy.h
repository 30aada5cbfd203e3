/* SPDX-License-Identifier: MIT
 *
 * Policies in PostgreSQL. A token's own policies come with the token: store_token.h.
 */
#ifndef STORE_POLICY_H
#define STORE_POLICY_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>

struct db;

/* Stores a policy's text under a name in lower case, over an older one. The text is the
 * caller's to have compiled. False with *err: ERROR_NOT_FOUND if there is no such namespace. */
bool store_policy_put(struct db *db, const char *namespace_path, const char *name,
                      const char *text, struct error *err) __attribute__((warn_unused_result));

/* The text of a policy; ours, free(). NULL with *err: ERROR_NOT_FOUND if there is no such
 * policy or no such namespace. */
char *store_policy_get(struct db *db, const char *namespace_path, const char *name,
                       struct error *err) __attribute__((warn_unused_result));

/* The names of a namespace's policies, an array, in their order, root at its end. New; NULL with
 * *err: ERROR_NOT_FOUND if there is no such namespace. */
json_t *store_policy_list(struct db *db, const char *namespace_path, struct error *err)
    __attribute__((warn_unused_result));

/* Deletes a policy; that there is none is no failure, as in Vault. False with *err:
 * ERROR_NOT_FOUND if there is no such namespace. */
bool store_policy_delete(struct db *db, const char *namespace_path, const char *name,
                         struct error *err) __attribute__((warn_unused_result));

/* Calls each with every stored policy of every namespace, until one returns false with *err. */
bool store_policy_each(struct db *db,
                       bool (*each)(void *context, const char *namespace_path,
                                    const char *name, const char *text, struct error *err),
                       void *context, struct error *err) __attribute__((warn_unused_result));

#endif
