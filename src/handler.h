/* SPDX-License-Identifier: MIT
 *
 * What a handler gets and fills. A handler validates, calls a store and fills the response; it
 * knows no SQL and no HTTP status.
 */
#ifndef HANDLER_H
#define HANDLER_H

#include "store_caller.h"

#include <stdbool.h>

struct arena;
struct connections;
struct db;
struct match;
struct request;
struct response;

struct call {
    struct db *db;
    const struct connections *connections; /* of the web server */
    bool metrics_to_anybody; /* without a token */
    const char *api_version; /* the Vault whose API is followed */
    struct arena *arena;
    const struct request *request;
    const struct match *match;
    const struct credential *credential;
    const struct caller *caller;
    struct object object;      /* what the route loaded with the caller. Borrowed */
    struct response *response; /* to be filled; as it comes: 204 */
};

#endif
