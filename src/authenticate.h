/* SPDX-License-Identifier: MIT
 *
 * From a token to who asks, and, since it is one statement, to what the route is about. The
 * work and the answer are the same for a token that is unknown, expired or revoked.
 */
#ifndef AUTHENTICATE_H
#define AUTHENTICATE_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>

struct arena;
struct caller;
struct credential;
struct db;
struct match;
struct request;

/* Fills *credential and *caller (due to caller_fini in any case), and *object (ours, or NULL)
 * with what the route loads. False with *err: ERROR_PERMISSION_DENIED for everything that is
 * wrong with the token; a missing one costs no database connection. */
bool authenticate(struct caller *caller, struct credential *credential, json_t **object,
                  struct db *db, const struct match *match, const struct request *request,
                  struct arena *arena, struct error *err) __attribute__((warn_unused_result));

#endif
