/* SPDX-License-Identifier: MIT
 *
 * Every thread counts in one of a few copies of all counters, so that two processors
 * seldom write to the same line of their caches. Pages that nobody counts in take no
 * memory.
 */
#include "metrics.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <time.h>

enum { COPIES = 8, LINE = 64, NS = 1000000000 };

const double metrics_bounds[METRICS_BOUNDS] = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
    0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10,
};

const unsigned metrics_statuses[METRICS_STATUS_COUNT] = {
#define X(status) status,
    METRICS_STATUSES(X)
#undef X
};

typedef _Atomic uint64_t counter;

struct times {
    counter buckets[METRICS_BOUNDS + 1];
    counter sum_ns;
    counter most_ns;
    counter
        least_ns; /* how much less than UINT64_MAX, so that 0 says that there is none */
    _Atomic double squares;
};

struct requests {
    alignas(LINE) struct times times;
    counter statuses[METRICS_STATUS_COUNT];
};

struct timer {
    alignas(LINE) struct times times;
    counter failures;
};

static struct {
    struct requests requests[METRICS_ROUTES][OPERATION_MAX];
    struct timer timers[METRICS_TIMER_MAX];
} copies[COPIES];

/* The thread's own among the copies. */
static size_t copy(void)
{
    static _Atomic size_t threads;
    static _Thread_local size_t number; /* 0: none yet */

    if (number == 0)
        number = 1 + atomic_fetch_add(&threads, 1) % COPIES;
    return number - 1;
}

static void count(counter *one, uint64_t by)
{
    atomic_fetch_add_explicit(one, by, memory_order_relaxed);
}

static uint64_t read(const counter *one)
{
    return atomic_load_explicit(one, memory_order_relaxed);
}

static void raise_to(counter *one, uint64_t value)
{
    uint64_t seen = read(one);

    while (seen < value &&
           !atomic_compare_exchange_weak_explicit(one, &seen, value, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
}

static void add_real(_Atomic double *sum, double value)
{
    double seen = atomic_load_explicit(sum, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(
        sum, &seen, seen + value, memory_order_relaxed, memory_order_relaxed))
        ;
}

int64_t metrics_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS + now.tv_nsec;
}

static void note(struct times *times, int64_t since)
{
    uint64_t ns = (uint64_t)(metrics_now() - since);
    double seconds = (double)ns / NS;
    size_t bucket = 0;

    while (bucket < METRICS_BOUNDS && seconds > metrics_bounds[bucket])
        bucket++;
    count(&times->buckets[bucket], 1);
    count(&times->sum_ns, ns);
    raise_to(&times->most_ns, ns);
    raise_to(&times->least_ns, UINT64_MAX - ns);
    add_real(&times->squares, seconds * seconds);
}

static size_t index_of(unsigned status)
{
    size_t i = METRICS_STATUS_COUNT - 1;

    while (i > 0 && metrics_statuses[i] != status)
        i--;
    return i;
}

void metrics_request(size_t route, enum operation operation, unsigned status,
                     int64_t since)
{
    struct requests *requests = &copies[copy()].requests[route][operation];

    count(&requests->statuses[index_of(status)], 1);
    note(&requests->times, since);
}

void metrics_time(enum metrics_timer timer, bool failed, int64_t since)
{
    struct timer *own = &copies[copy()].timers[timer];

    count(&own->failures, failed);
    note(&own->times, since);
}

static void add_up(struct metrics_times *out, const struct times *times)
{
    struct metrics_times one = {
        .sum = (double)read(&times->sum_ns) / NS,
        .squares = atomic_load_explicit(&times->squares, memory_order_relaxed),
        .least = (double)(UINT64_MAX - read(&times->least_ns)) / NS,
        .most = (double)read(&times->most_ns) / NS,
    };

    for (size_t i = 0; i <= METRICS_BOUNDS; i++) {
        one.buckets[i] = read(&times->buckets[i]);
        one.count += one.buckets[i];
    }
    metrics_add(out, &one);
}

void metrics_add(struct metrics_times *all, const struct metrics_times *one)
{
    if (one->count == 0)
        return;
    if (all->count == 0 || one->least < all->least)
        all->least = one->least;
    if (one->most > all->most)
        all->most = one->most;
    all->count += one->count;
    all->sum += one->sum;
    all->squares += one->squares;
    for (size_t i = 0; i <= METRICS_BOUNDS; i++)
        all->buckets[i] += one->buckets[i];
}

void metrics_requests(size_t route, enum operation operation,
                      struct metrics_requests *out)
{
    *out = (struct metrics_requests){.statuses = {0}};
    for (size_t i = 0; i < COPIES; i++) {
        const struct requests *requests = &copies[i].requests[route][operation];
        add_up(&out->times, &requests->times);
        for (size_t status = 0; status < METRICS_STATUS_COUNT; status++)
            out->statuses[status] += read(&requests->statuses[status]);
    }
}

void metrics_timer(enum metrics_timer timer, struct metrics_times *out)
{
    *out = (struct metrics_times){.count = 0};
    for (size_t i = 0; i < COPIES; i++)
        add_up(out, &copies[i].timers[timer].times);
}

uint64_t metrics_failures(enum metrics_timer timer)
{
    uint64_t failures = 0;

    for (size_t i = 0; i < COPIES; i++)
        failures += read(&copies[i].timers[timer].failures);
    return failures;
}
