/* SPDX-License-Identifier: MIT
 *
 * The history in PostgreSQL: who changed what, newest first, page by page, so that its
 * length does not matter. Needs no more than readers and operators may.
 */
#ifndef STORE_HISTORY_H
#define STORE_HISTORY_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;

/* The most rows of a page. A row may have two policies of half a MiB in it. */
enum { STORE_HISTORY_PAGE = 32 };

/* What is looked for; NULL: any. Borrowed. */
struct history_filter {
    const char *table; /* without its schema */
    const char *name;  /* of a runtime, plugin or policy; accessor of a token; path of a
                          namespace, with or without its last slash */
    const char *namespace_path; /* the one that the row belongs to, "": the root; also if
                                   it is gone */
    const char *accessor;       /* of the token that asked for the change */
    const char *role;           /* that was logged in */
    const char *request_id;
    const char *since, *until; /* this moment included, that one not: ISO 8601, or
                                  "N seconds" for so long ago */
};

/* Where a reader of pages is. Zero: before the newest. */
struct history_place {
    int64_t before; /* 0: the first page */
    char *
        namespaces; /* ids of filter.namespace_path; ours, once the first page was read */
};

/* The next page, at most count rows, an array of objects. Each has either the key "json":
 * all of the row as one line of JSON, images included; or, for a table: changed_at, who,
 * namespace_path, object (table and key), operation, changes (what an update changed,
 * long values cut), request_id. An empty page is the end. New; NULL with *err:
 * ERROR_NOT_FOUND if there was never such a namespace. */
json_t *store_history_page(struct db *db, const struct history_filter *filter,
                           size_t count, bool as_json, struct history_place *place,
                           struct error *err) __attribute__((warn_unused_result));
void store_history_fini(struct history_place *place);

#endif
