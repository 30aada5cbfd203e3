/* SPDX-License-Identifier: MIT
 *
 * The list of a namespace's runtimes, of any number. In memory it is a runtime_list.h,
 * and what has changed since it was read is read alone: a list is never read twice while
 * it can be followed. One that is read the first time comes page by page, all of one
 * moment. One that is too large to be kept is read twice, once for its length and its
 * hash, and once while it is sent.
 */
#ifndef STORE_RUNTIME_LIST_H
#define STORE_RUNTIME_LIST_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct cache_view;
struct caller;
struct credential;
struct db;
struct object;
struct store_object;

/* *object: a source, with its hash: an array, under the key runtimes, of the runtimes of
 * a type (NULL or
 * "": of every type), sorted by type and name. name is not looked at. As route.h's
 * load_function has it. False with *err: the storage failed; too many others read lists
 * that are not in memory. */
bool store_runtime_load_list(struct db *db, const struct credential *credential,
                             const char *type, const char *name, struct arena *arena,
                             struct caller *caller, struct object *object,
                             struct error *err) __attribute__((warn_unused_result));

/* One runtime out of a list in memory, whatever of the list has changed besides: struct
 * store_object's find. */
bool store_runtime_find(const struct credential *credential,
                        const struct cache_view *view, const struct store_object *what,
                        int64_t namespace_id, struct object *object);

#endif
