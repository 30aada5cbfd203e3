/* SPDX-License-Identifier: MIT
 *
 * Paths of namespaces: empty for the root, else segments that each end in a slash, "team-a/".
 *
 * Not for: which namespaces there are (PostgreSQL), or who reaches them (authorise.c).
 */
#ifndef NAMESPACE_PATH_H
#define NAMESPACE_PATH_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

enum { NAMESPACE_PATH_MAX = 512 }; /* bytes, as the table's namespace_path_check */

/* "/a/b" → "a/b/", as a client or a site writes it. what says where it stood. NULL with *err,
 * of this code: not what namespace_path_check allows; or out of memory. */
const char *namespace_path_read(const char *what, enum error_code code, const char *text,
                                struct arena *arena, struct error *err);

/* Whether a namespace below another, whose path is above, may be called name: no slash in it, and
 * what namespace_path_check and namespace_reserved_check allow, in their words. */
bool namespace_name_check(const char *above, const char *name, struct error *err)
    __attribute__((warn_unused_result));

/* How many bytes of a request's path name a namespace: all that stands before the first
 * segment that no namespace can be called, because every path of the API begins with one of
 * those. 0 if none of them occurs. */
size_t namespace_path_length(const char *path);

enum { NAMESPACE_LABEL_SIZE = 24 };

/* What the API calls the id of a namespace: "root" for the one whose path is "", else what
 * namespace_label() of the schema makes of it. */
void namespace_path_label(char out[static NAMESPACE_LABEL_SIZE], const char *path, int64_t id);

#endif
