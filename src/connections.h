/* SPDX-License-Identifier: MIT
 *
 * The web server's connections: those that no thread serves wait here, and one that has
 * something to say goes to the next free thread, first come first served. So a connection that
 * is kept and idle costs a descriptor and no thread, and any number of them is served by a few
 * threads in turn. Knows nothing of what is spoken on them.
 *
 *     accept ──put──▶ waits ──take──▶ served by one thread ──put back──▶ waits …
 *                       └──idle for long──▶ closed         └──gone──▶ (closed by who had it)
 */
#ifndef CONNECTIONS_H
#define CONNECTIONS_H

#include "error.h"

#include <stdbool.h>

struct connections; /* opaque; any number of threads may use it at once */

/* For descriptors below descriptors. idle_ms: a connection that says nothing for so long, and up
 * to a second more, is closed by connections_close_idle. NULL with *err. */
struct connections *connections_new(unsigned descriptors, unsigned idle_ms, struct error *err)
    __attribute__((warn_unused_result));
void connections_free(struct connections *connections); /* NULL is fine */

/* Takes over a connection that was accepted; one too many is closed. */
void connections_put(struct connections *connections, int fd);

/* Waits for one that has something to say, or that the other side closed: it is the caller's,
 * who ends with one of the two below. -1: connections_end was called. */
int connections_take(struct connections *connections);
void connections_put_back(struct connections *connections, int fd);
void connections_gone(struct connections *connections); /* it is closed already */

/* Closes those that were idle for too long, if it is time to look. Returns the milliseconds until
 * it is time again; -1: not before the next was put. For one thread. */
int connections_close_idle(struct connections *connections);

/* How many there are, and how many of them are served at this moment. */
unsigned connections_count(const struct connections *connections);
unsigned connections_served(const struct connections *connections);

/* Whether one has something to say and no thread has taken it yet. */
bool connections_wait(const struct connections *connections);

/* From now on connections_take returns -1, in every thread. */
void connections_end(struct connections *connections);

#endif
