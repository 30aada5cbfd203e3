/* SPDX-License-Identifier: MIT
 *
 * From a token to who asks, and, since it is one statement, to what the route is about. The
 * statement and the answer are the same for a token that is unknown, malformed, expired, used up,
 * revoked or of a namespace outside the site's; what its time would tell exchange.c hides.
 */
#ifndef AUTHENTICATE_H
#define AUTHENTICATE_H

#include "error.h"

#include <stdbool.h>

struct arena;
struct caller;
struct credential;
struct db;
struct match;
struct object;
struct request;

/* Fills *credential, of which cache and asks_database are set before, and *caller and *object with
 * what the route loads (due to caller_fini and object_fini in any case). False with *err: ERROR_PERMISSION_DENIED for everything that is
 * wrong with the token; a missing one costs no database connection. */
bool authenticate(struct caller *caller, struct credential *credential, struct object *object,
                  struct db *db, const struct match *match, const struct request *request,
                  struct arena *arena, struct error *err) __attribute__((warn_unused_result));

#endif
