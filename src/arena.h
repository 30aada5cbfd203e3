/* SPDX-License-Identifier: MIT
 *
 * The memory of one request: taken piece by piece, given back all at once. Nothing in an
 * arena is freed singly. One thread at a time.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

struct arena; /* opaque */

/* An arena that will hand out no more than limit bytes between two resets. NULL: no memory.
 * Ours: arena_free. */
struct arena *arena_new(size_t limit);
void arena_free(struct arena *arena); /* NULL is fine */

/* Takes everything back; pointers into the arena are dead from here on. */
void arena_reset(struct arena *arena);

/* Zeroed memory, aligned for anything, alive until the reset. NULL: the limit is reached or
 * there is no memory; the caller ends in error_exhausted(). */
void *arena_alloc(struct arena *arena, size_t size)
    __attribute__((warn_unused_result, malloc, alloc_size(2)));

/* Copies with a NUL at the end. NULL as above. */
char *arena_strndup(struct arena *arena, const char *bytes, size_t length)
    __attribute__((warn_unused_result));
char *arena_strdup(struct arena *arena, const char *text)
    __attribute__((warn_unused_result));

/* One text behind the other. NULL as above. */
char *arena_join(struct arena *arena, const char *first, const char *second)
    __attribute__((warn_unused_result));

/* As asprintf. NULL as above. */
char *arena_format(struct arena *arena, const char *format, ...)
    __attribute__((warn_unused_result, format(printf, 2, 3)));

#endif
