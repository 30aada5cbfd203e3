/* SPDX-License-Identifier: MIT
 *
 * The line: one request from parameters to response.
 */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct audit;
struct cache;
struct connections;
struct db;
struct input;
struct output;

/* What every request shares; immutable while threads run. */
struct error;

struct exchange {
    struct db *db;
    struct cache *cache;
    const struct error *unfit; /* for who needs the database; NULL: the schema fits */
    size_t max_request_size; /* bytes of a body */
    const char *api_version; /* the Vault whose API is followed */
    struct audit *audit;     /* NULL: there is no audit log */
    const struct connections *connections; /* of the web server */
    bool metrics_to_anybody; /* without a token */
};

/* Serves one request. The arena is the request's; it is the caller's to reset. */
void exchange_serve(const struct exchange *exchange, const struct input *input,
                    const struct output *output, struct arena *arena);

#endif
