/* SPDX-License-Identifier: MIT
 *
 * What is counted about requests and the audit log, for the whole life of the process. Counting
 * takes no lock and no memory, whoever does it; adding up is for who asks, now and then.
 *
 * Requests are counted by the row of the route table that they fit, by operation and by status, all
 * of which are few whatever clients send. Gauges, which somebody else knows at any time, are not
 * here, and what it all is called is handler_metrics.c's business.
 */
#ifndef METRICS_H
#define METRICS_H

#include "operation.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    METRICS_ROUTES = 64,    /* rows at most, and one for what fits none: METRICS_NO_ROUTE */
    METRICS_NO_ROUTE = METRICS_ROUTES - 1,
    METRICS_BOUNDS = 16,
};

/* Seconds that the buckets of times end at, from the shortest on; one more has what is longer. */
extern const double metrics_bounds[METRICS_BOUNDS];

/* Statuses that are told apart; any other is the first one, 0. */
#define METRICS_STATUSES(X)                                                                  \
    X(0) X(200) X(202) X(204) X(304) X(400) X(403) X(404) X(405) X(413) X(415) X(429) X(431) \
    X(500) X(503)

#define X(status) +1
enum { METRICS_STATUS_COUNT = METRICS_STATUSES(X) };
#undef X

extern const unsigned metrics_statuses[METRICS_STATUS_COUNT];

/* What is timed besides requests. */
enum metrics_timer {
    METRICS_AUDIT_REQUEST = 0, /* a record before a request is handled */
    METRICS_AUDIT_RESPONSE,    /* and one before its answer leaves */
    METRICS_TIMER_MAX
};

/* How long something took, each time. */
struct metrics_times {
    uint64_t count;
    uint64_t buckets[METRICS_BOUNDS + 1]; /* each without those before it */
    double sum, squares;                  /* of seconds, and of their squares */
    double least, most;                   /* 0 where count is */
};

struct metrics_requests {
    uint64_t statuses[METRICS_STATUS_COUNT]; /* how often each was answered */
    struct metrics_times times;
};

/* Nanoseconds of a clock that nobody sets: when what one of the two below is about began. */
int64_t metrics_now(void);

/* A request was answered. route is its row, or METRICS_NO_ROUTE. */
void metrics_request(size_t route, enum operation operation, unsigned status, int64_t since);

/* Something else has ended, and failed if it says so. */
void metrics_time(enum metrics_timer timer, bool failed, int64_t since);

/* What was counted so far. */
void metrics_requests(size_t route, enum operation operation, struct metrics_requests *out);
void metrics_timer(enum metrics_timer timer, struct metrics_times *out);
uint64_t metrics_failures(enum metrics_timer timer);

/* Adds one's times to all. */
void metrics_add(struct metrics_times *all, const struct metrics_times *one);

#endif
