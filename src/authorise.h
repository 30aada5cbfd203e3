/* SPDX-License-Identifier: MIT
 *
 * Whether the caller may do this to that path: the policies of the token, sudo where the path
 * needs it besides, and the bounds of the token's namespace.
 */
#ifndef AUTHORISE_H
#define AUTHORISE_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct caller;
struct match;
struct request;

/* True: allowed. False with *err: ERROR_PERMISSION_DENIED; ERROR_NOT_FOUND if the namespace
 * does not exist and the token reaches as far as to learn that; ERROR_INTERNAL if a policy of
 * the token does not compile: what it would deny is not known, so nothing is allowed. */
bool authorise(struct caller *caller, const struct match *match,
               const struct request *request, struct arena *arena, struct error *err)
    __attribute__((warn_unused_result));

#endif
