/* SPDX-License-Identifier: MIT
 *
 * Requests read the gate without a lock: the end of the lease first, then which polls were
 * answered. The thread writes them the other way round, so that whoever sees the end of a lease
 * sees at least the polls that it rests on.
 */
#include "cache_gate.h"

#include "text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MS = 1000,               /* microseconds */
    PATIENCE_US = 250 * MS,  /* that a request waits for a poll, before it asks by itself */
    EAGER_US = 25 * MS,      /* between polls that somebody would be glad of */
    RETRY_US = 250 * MS,     /* between polls while memory does not answer */
};

struct cache_gate {
    int64_t max_staleness_us;

    _Atomic int64_t open_until;   /* of cache_gate_now(); 0: closed */
    _Atomic uint64_t asked;       /* number of the last poll that was begun */
    _Atomic uint64_t answered;    /* likewise, that was answered and done with */
    _Atomic int64_t answered_ask; /* when that one was asked; 0: never */
    _Atomic int64_t clock_ahead;  /* of cache_gate_now(), what the database's shows at most */
    _Atomic enum cache_state state;
    _Atomic bool held;
    _Atomic bool arrived; /* a request, since the last poll */
    _Atomic bool wanted;  /* cache_gate_want, likewise */
    _Atomic bool asleep;  /* the thread waits for an arrival, for any length of time */

    pthread_mutex_t mutex; /* guards everything below */
    pthread_cond_t called; /* the thread is to look again */
    pthread_cond_t over;   /* a poll has ended */
    bool awaited;          /* a request waits for that */
    uint64_t ended;        /* polls that were */
    int64_t asked_at;      /* when the last one was begun */
    char server[CACHE_SERVER_MAX]; /* that answered last */
    bool stopping;
};

const char *cache_state_name(enum cache_state state)
{
    static const char *const names[CACHE_STATE_MAX] = {
        [CACHE_ON] = "on",
        [CACHE_STARTING] = "off: starting",
        [CACHE_DISABLED] = "off: max_staleness is 0s",
        [CACHE_AWAY] = "off: storage is not available",
        [CACHE_STANDBY] = "off: the server is in recovery",
        [CACHE_UNSUPPORTED] = "off: the server does not tell what changed",
        [CACHE_RELOADING] = "off: reloading",
    };

    return names[state];
}

int64_t cache_gate_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 * MS + now.tv_nsec / 1000;
}

static void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* Waits for at most so long. */
static void wait_for(pthread_cond_t *cond, pthread_mutex_t *mutex, int64_t us)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t ns = at.tv_nsec + us % (1000 * MS) * 1000;
    at.tv_sec += us / (1000 * MS) + ns / 1000000000;
    at.tv_nsec = ns % 1000000000;
    pthread_cond_timedwait(cond, mutex, &at);
}

struct cache_gate *cache_gate_new(unsigned max_staleness_ms)
{
    struct cache_gate *gate = calloc(1, sizeof *gate);

    if (!gate)
        return NULL;
    gate->max_staleness_us = (int64_t)max_staleness_ms * MS;
    gate->state = max_staleness_ms > 0 ? CACHE_STARTING : CACHE_DISABLED;
    pthread_mutex_init(&gate->mutex, NULL);
    cond_init(&gate->called);
    cond_init(&gate->over);
    return gate;
}

void cache_gate_free(struct cache_gate *gate)
{
    if (!gate)
        return;
    pthread_cond_destroy(&gate->over);
    pthread_cond_destroy(&gate->called);
    pthread_mutex_destroy(&gate->mutex);
    free(gate);
}

/* --- requests */

/* For a request that came at that moment: however long it waits, it is owed what was true
 * max_staleness before that, and nothing later. */
static bool look(struct cache_gate *gate, int64_t came_us, struct cache_view *view)
{
    int64_t until = gate->open_until;

    if (came_us >= until || gate->held)
        return false;
    *view = (struct cache_view){
        .polls = gate->answered,
        .database_us = cache_gate_now() + gate->clock_ahead,
    };
    return true;
}

/* Written only where it changes something: the line in the processor's cache is everybody's. */
static void set(_Atomic bool *flag)
{
    if (!*flag)
        *flag = true;
}

static void call_thread(struct cache_gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    pthread_cond_signal(&gate->called);
    pthread_mutex_unlock(&gate->mutex);
}

/* Whether it is of use to wait: a poll that failed last, or has no answer for long, is not. */
static bool may_help(const struct cache_gate *gate, int64_t came_us)
{
    enum cache_state state = gate->state;
    bool hangs = gate->asked > gate->ended && came_us - gate->asked_at > PATIENCE_US;

    return (state == CACHE_ON || state == CACHE_STARTING) && !gate->held && !gate->stopping && !hangs;
}

/* Waits for the poll that opens the gate for who came at that moment: the one under way if it was
 * asked late enough, else the next. */
static bool await_poll(struct cache_gate *gate, int64_t came_us, struct cache_view *view)
{
    int64_t left = PATIENCE_US;
    bool open = false;

    pthread_mutex_lock(&gate->mutex);
    while (!(open = look(gate, came_us, view)) && left > 0 && may_help(gate, came_us)) {
        gate->awaited = true;
        pthread_cond_signal(&gate->called);
        wait_for(&gate->over, &gate->mutex, left);
        left = came_us + PATIENCE_US - cache_gate_now();
    }
    if (!open)
        pthread_cond_signal(&gate->called);
    pthread_mutex_unlock(&gate->mutex);
    return open;
}

bool cache_gate_enter(struct cache_gate *gate, struct cache_view *view)
{
    int64_t came_us = cache_gate_now();

    if (gate->state == CACHE_DISABLED)
        return false;
    set(&gate->arrived);
    if (!look(gate, came_us, view))
        return await_poll(gate, came_us, view);
    if (gate->asleep)
        call_thread(gate);
    return true;
}

uint64_t cache_gate_next_poll(const struct cache_gate *gate)
{
    return gate->asked + 1;
}

void cache_gate_want(struct cache_gate *gate)
{
    if (gate->wanted)
        return;
    gate->wanted = true;
    call_thread(gate);
}

bool cache_gate_knows(struct cache_gate *gate, const char *server)
{
    pthread_mutex_lock(&gate->mutex);
    bool knows = cache_gate_state(gate) == CACHE_ON && strcmp(server, gate->server) == 0;
    pthread_mutex_unlock(&gate->mutex);
    return knows;
}

enum cache_state cache_gate_state(const struct cache_gate *gate)
{
    return gate->held ? CACHE_RELOADING : gate->state;
}

int64_t cache_gate_age_ms(const struct cache_gate *gate)
{
    int64_t asked = gate->answered_ask;

    return asked == 0 ? -1 : (cache_gate_now() - asked) / MS;
}

/* --- the thread that asks */

/* When the next poll is due, if anybody comes. */
static int64_t next_due(const struct cache_gate *gate)
{
    int64_t pace = gate->max_staleness_us / 2;

    if (gate->state != CACHE_ON && pace < RETRY_US)
        pace = RETRY_US;
    else if (gate->wanted && pace > EAGER_US)
        pace = EAGER_US;
    return gate->asked_at + pace;
}

/* Sleeps until an arrival: either it is seen here, or who arrives sees that we are asleep. */
static void sleep_long(struct cache_gate *gate)
{
    gate->asleep = true;
    if (!gate->arrived)
        pthread_cond_wait(&gate->called, &gate->mutex);
    gate->asleep = false;
}

bool cache_gate_rest(struct cache_gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    while (!gate->stopping && !gate->awaited) {
        int64_t left = next_due(gate) - cache_gate_now();
        if (left > 0)
            wait_for(&gate->called, &gate->mutex, left);
        else if (gate->arrived)
            break;
        else
            sleep_long(gate);
    }
    bool goes_on = !gate->stopping;
    gate->arrived = false;
    gate->wanted = false;
    pthread_mutex_unlock(&gate->mutex);
    return goes_on;
}

int64_t cache_gate_ask(struct cache_gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->asked++;
    int64_t now = gate->asked_at = cache_gate_now();
    pthread_mutex_unlock(&gate->mutex);
    return now;
}

static void end_poll(struct cache_gate *gate, enum cache_state state)
{
    gate->state = state;
    gate->ended++;
    gate->awaited = false;
    pthread_cond_broadcast(&gate->over);
}

void cache_gate_open(struct cache_gate *gate, int64_t asked_us, const char *server,
                     int64_t database_us)
{
    pthread_mutex_lock(&gate->mutex);
    text_format(gate->server, sizeof gate->server, "%s", server);
    gate->clock_ahead = database_us - asked_us;
    gate->answered_ask = asked_us;
    gate->answered = gate->asked;
    gate->open_until = asked_us + gate->max_staleness_us;
    end_poll(gate, CACHE_ON);
    pthread_mutex_unlock(&gate->mutex);
}

void cache_gate_close(struct cache_gate *gate, enum cache_state reason)
{
    pthread_mutex_lock(&gate->mutex);
    if (reason != CACHE_AWAY) /* what was answered before holds until its time is over */
        gate->open_until = 0;
    end_poll(gate, reason);
    pthread_mutex_unlock(&gate->mutex);
}

void cache_gate_hold(struct cache_gate *gate, bool held)
{
    gate->held = held;
}

void cache_gate_stop(struct cache_gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->stopping = true;
    pthread_cond_broadcast(&gate->called);
    pthread_cond_broadcast(&gate->over);
    pthread_mutex_unlock(&gate->mutex);
}
