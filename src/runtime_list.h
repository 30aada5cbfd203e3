/* SPDX-License-Identifier: MIT
 *
 * All runtimes of a namespace, as the API spells them, in the order of type and name: a
 * sequence of chunks, each an entry of the cache of its own, immutable and shared. A list
 * in which one runtime is another one has all chunks of the old list but one.
 *
 * Where a chunk ends is a matter of its runtimes alone, by a hash of their names, not of
 * what became of the list before: two workers that know the same runtimes have the same
 * chunks, and so the same tag, made of one hash for each chunk.
 */
#ifndef RUNTIME_LIST_H
#define RUNTIME_LIST_H

#include "cache.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RUNTIME_LIST_HASH = 32,      /* bytes of a SHA-256 */
    RUNTIME_LIST_TYPE_MAX = 255, /* bytes, as runtime_type_check and runtime_name_check */
};

/* One runtime as PostgreSQL writes it; borrowed, and not terminated. */
struct runtime_row {
    const char *type, *name, *json; /* json_length 0: there is no such runtime any more */
    size_t type_length, name_length, json_length;
};

/* The next row of a text that has one on each line, its parts divided by tabs. False:
 * there is none. */
bool runtime_row_next(struct runtime_row *row, const char **text);

/* What of a list is asked for: the runtimes of a type; NULL or "": of all. Counted. */
struct runtime_range {
    size_t first, end; /* chunks */
    size_t count;      /* runtimes */
    size_t length;     /* of their text: ,{…},{… */
};

/* When and by whom a list was read, for who asks what has changed since: texts of
 * PostgreSQL's. */
struct runtime_moment {
    const char *snapshot;
    const char *server; /* its start */
    const char *clock;  /* seconds since 1970, not before the snapshot */
};

/* The content of an entry, in which chunks are held; the texts of its moment follow. */
struct runtime_list {
    size_t count;
    struct cache_entry *chunks[];
};

struct runtime_moment runtime_list_moment(const struct runtime_list *list);

struct runtime_range runtime_list_range(const struct runtime_list *list,
                                        const char *type);

/* The runtimes of a chunk, a comma in front of each. */
const char *runtime_list_text(const struct runtime_list *list, size_t chunk,
                              size_t *length);

/* The text of one runtime, without a comma. NULL: it is not there. */
const char *runtime_list_find(const struct runtime_list *list, const char *type,
                              const char *name, size_t *length);

/* A hash of what a range says. False: libcrypto failed, or no memory. */
bool runtime_list_hash(unsigned char hash[static RUNTIME_LIST_HASH],
                       const struct runtime_list *list, const struct runtime_range *range)
    __attribute__((warn_unused_result));

/* --- making one: rows, and chunks of an older one, in their order */

struct runtime_list_builder; /* opaque */

/* Where more than keep_bytes come together, no chunk is kept and only the sums are made,
 * of the runtimes of a type (NULL or "": all). NULL: no memory. Ours:
 * runtime_list_builder_free. */
struct runtime_list_builder *runtime_list_builder_new(struct cache *cache,
                                                      size_t keep_bytes, const char *type)
    __attribute__((warn_unused_result));
void runtime_list_builder_free(struct runtime_list_builder *builder); /* NULL is fine */

/* False: no memory, or libcrypto failed. */
bool runtime_list_add(struct runtime_list_builder *builder, const struct runtime_row *row)
    __attribute__((warn_unused_result));

/* All of an older list, but where changes, rows in their order on the lines of a text,
 * say otherwise. */
bool runtime_list_merge(struct runtime_list_builder *builder,
                        const struct runtime_list *older, const char *changes)
    __attribute__((warn_unused_result));

/* What there was in all. */
struct runtime_sums {
    size_t count, length;                  /* as in struct runtime_range */
    unsigned char hash[RUNTIME_LIST_HASH]; /* as runtime_list_hash */
    bool kept;                             /* there is a list of it */
};

bool runtime_list_end(struct runtime_list_builder *builder, struct runtime_sums *sums)
    __attribute__((warn_unused_result));

/* The list that was made, where it is kept: an entry under that key, held by us. NULL: no
 * memory. */
struct cache_entry *
runtime_list_entry(struct runtime_list_builder *builder, const struct cache_key *key,
                   uint64_t ticket, uint32_t topic, const struct runtime_moment *moment)
    __attribute__((warn_unused_result));

#endif
