/* SPDX-License-Identifier: MIT
 *
 * What keeps memory true: a thread that asks the primary which changes became visible, drops what
 * they name and opens the gate for as long as the answer is good for. One connection is its own.
 */
#ifndef LEASE_H
#define LEASE_H

#include "error.h"

struct cache;
struct db;
struct lease; /* opaque */

/* Follows the database for the cache, both borrowed until lease_stop. Nobody else uses the
 * connection of db. NULL with *err: there is no thread. Ours: lease_stop. */
struct lease *lease_start(struct db *db, struct cache *cache, struct error *err)
    __attribute__((warn_unused_result));

/* Ends the thread and waits for it, for a statement's time at most. NULL is fine. */
void lease_stop(struct lease *lease);

#endif
