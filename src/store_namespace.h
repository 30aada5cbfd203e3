/* SPDX-License-Identifier: MIT
 *
 * Namespaces in PostgreSQL, for the operator's tool. A namespace is named by the path of the one
 * above it and one segment.
 */
#ifndef STORE_NAMESPACE_H
#define STORE_NAMESPACE_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>

struct db;
struct db_result;

/* What may be set of a namespace. */
struct namespace_settings {
    const char *max_runtimes; /* digits, "none" for no limit, NULL: as it is */
    const json_t *metadata;   /* texts, null for each that goes; NULL: as they are */
};

/* Whether a namespace may have these metadata, texts and nulls (NULL: none), as far as one can tell
 * without what it has. A constraint of the table, again, for what PostgreSQL would log: it shows
 * the row that it refuses. False with *err. */
bool store_namespace_check_metadata(const json_t *metadata, struct error *err)
    __attribute__((warn_unused_result));

/* Creates one and describes it, as store_namespace_get does. False with *err: ERROR_NOT_FOUND if
 * there is none above, ERROR_ALREADY_DONE if it exists, ERROR_BAD_REQUEST for its name. */
bool store_namespace_create(struct db *db, const char *above, const char *name,
                            const struct namespace_settings *settings, json_t **description,
                            struct error *err) __attribute__((warn_unused_result));

/* Changes one and describes it. False with *err: ERROR_NOT_FOUND. */
bool store_namespace_update(struct db *db, const char *above, const char *name,
                            const struct namespace_settings *settings, json_t **description,
                            struct error *err) __attribute__((warn_unused_result));

/* What is known of one: custom_metadata, id, max_runtimes (null: no limit), path, and how many
 * runtimes it and those below it hold. *description is ours. False with *err: ERROR_NOT_FOUND. */
bool store_namespace_get(struct db *db, const char *above, const char *name,
                         json_t **description, struct error *err)
    __attribute__((warn_unused_result));

/* The same of all that lie below one, an array in the order of their paths. New; NULL with *err:
 * ERROR_NOT_FOUND if there is none above. */
json_t *store_namespace_list(struct db *db, const char *above, struct error *err)
    __attribute__((warn_unused_result));

/* Deletes one. False with *err: ERROR_NOT_FOUND; ERROR_IN_USE, which says what it still holds. */
bool store_namespace_delete(struct db *db, const char *above, const char *name,
                            struct error *err) __attribute__((warn_unused_result));

/* For the stores: what a statement says that yields delete_namespace()'s row, and frees it. */
bool store_namespace_deleted(struct db_result *result, const char *name, bool *existed,
                             struct error *err) __attribute__((warn_unused_result));

#endif
