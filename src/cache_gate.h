/* SPDX-License-Identifier: MIT
 *
 * Whether memory may answer: where requests meet the thread that asks the database what changed.
 *
 * A poll is numbered before it is asked. Once everything it named has been dropped it opens the
 * gate until the moment it was asked plus max_staleness. A request looks at the end of that
 * time first, then at the number of the last poll, then at entries. An entry counts from the
 * first poll on that was asked after the entry had landed: all that one request finds was true
 * together, when the last poll was answered, whenever each was read.
 */
#ifndef CACHE_GATE_H
#define CACHE_GATE_H

#include <stdbool.h>
#include <stdint.h>

struct cache_gate; /* opaque */

enum { CACHE_SERVER_MAX = 64 }; /* bytes of what tells servers apart, its NUL included */

/* Why memory does not answer. */
enum cache_state {
    CACHE_ON = 0,
    CACHE_STARTING,    /* nobody has asked yet */
    CACHE_DISABLED,    /* max_staleness is 0s */
    CACHE_AWAY,        /* the database did not answer */
    CACHE_STANDBY,     /* the server is in recovery: it does not list who is writing */
    CACHE_UNSUPPORTED, /* the server has no such snapshots, or hides who answers */
    CACHE_RELOADING,   /* requests of an older configuration are still under way */
    CACHE_STATE_MAX
};

/* For health and metrics: "on", or "off: " and the reason. */
const char *cache_state_name(enum cache_state state);

struct cache_gate *cache_gate_new(unsigned max_staleness_ms)
    __attribute__((warn_unused_result)); /* NULL: no memory. Ours: cache_gate_free */
void cache_gate_free(struct cache_gate *gate);

/* Microseconds of the clock that goes on while the machine sleeps, and is never set. */
int64_t cache_gate_now(void);

/* --- requests */

struct cache_view {
    uint64_t polls;      /* entries count that these have confirmed */
    int64_t database_us; /* the database's clock, at the latest; microseconds since 1970 */
};

/* Whether memory may answer the request that comes now, and by which entries. Where the time is over
 * the database is asked first, and waited for, not for long: what it says is fresh enough then,
 * however long it took to say it. */
bool cache_gate_enter(struct cache_gate *gate, struct cache_view *view);

/* An entry that landed now counts once this many polls were answered. */
uint64_t cache_gate_next_poll(const struct cache_gate *gate);

/* An entry was there and did not count yet: somebody would be glad of a poll. */
void cache_gate_want(struct cache_gate *gate);

/* Whether what a server says may be kept: it is the one that polls are answered by. */
bool cache_gate_knows(struct cache_gate *gate, const char *server);

enum cache_state cache_gate_state(const struct cache_gate *gate);

/* Milliseconds since the last poll that was answered was asked; negative: there was none. */
int64_t cache_gate_age_ms(const struct cache_gate *gate);

/* --- the thread that asks; and the service */

/* Waits until it is time for a poll: half of max_staleness after the last one while requests
 * arrive, at once if one waits, and for any length of time while none comes. False: stop. */
bool cache_gate_rest(struct cache_gate *gate);

/* A poll is about to be asked. Returns the moment. */
int64_t cache_gate_ask(struct cache_gate *gate);

/* It was answered, by a server (a text of CACHE_SERVER_MAX bytes at most) at a time of its clock, and
 * what it named is dropped. */
void cache_gate_open(struct cache_gate *gate, int64_t asked_us, const char *server,
                     int64_t database_us);

/* It was not, or not so that memory may answer. */
void cache_gate_close(struct cache_gate *gate, enum cache_state reason);

/* Holds the gate closed, whatever polls say, until it is released: what happens to the service at
 * that time is not seen here. A new gate is not held. */
void cache_gate_hold(struct cache_gate *gate, bool held);

/* Ends cache_gate_rest for good. */
void cache_gate_stop(struct cache_gate *gate);

#endif
