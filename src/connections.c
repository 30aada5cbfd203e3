/* SPDX-License-Identifier: MIT
 *
 * All threads wait on one epoll(7). Each connection is in it with EPOLLONESHOT, so that one
 * thread is woken and nobody else until that one puts it back; the kernel hands out what is
 * ready in the order in which it became so.
 *
 * Whoever turns since[fd] into 0 has the connection: a thread that was woken, or who closes it
 * for being idle. An event that arrives for nobody, because of a number that was used again, so
 * does no harm.
 */
#include "connections.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 1000 }; /* the longest between two looks at who is idle */

struct connections {
    int waiting; /* an epoll: the connections, and end */
    int end;     /* an eventfd: readable once it is time to end */
    unsigned idle_ms;
    int64_t look_at; /* no look at who is idle before */
    int descriptors;
    _Atomic unsigned count, served;
    _Atomic int highest;     /* descriptor so far */
    _Atomic int64_t since[]; /* by descriptor: when it was put, of now_ms(); 0: not waiting */
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool watch(struct connections *connections, int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.fd = fd}};

    return epoll_ctl(connections->waiting, operation, fd, &event) == 0;
}

struct connections *connections_new(unsigned descriptors, unsigned idle_ms, struct error *err)
{
    struct connections *connections =
        calloc(1, sizeof *connections + descriptors * sizeof *connections->since);

    if (!connections) {
        error_exhausted(err);
        return NULL;
    }
    connections->descriptors = (int)descriptors;
    connections->idle_ms = idle_ms;
    connections->waiting = epoll_create1(EPOLL_CLOEXEC);
    connections->end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (connections->waiting >= 0 && connections->end >= 0 &&
        watch(connections, EPOLL_CTL_ADD, connections->end, EPOLLIN))
        return connections;
    error_set(err, ERROR_MISCONFIGURED, "cannot wait for connections: %s", strerror(errno));
    connections_free(connections);
    return NULL;
}

void connections_free(struct connections *connections)
{
    if (!connections)
        return;
    if (connections->waiting >= 0)
        close(connections->waiting);
    if (connections->end >= 0)
        close(connections->end);
    for (int fd = 0; fd <= connections->highest; fd++) {
        if (connections->since[fd] != 0)
            close(fd);
    }
    free(connections);
}

static void note_highest(struct connections *connections, int fd)
{
    int highest = atomic_load(&connections->highest);

    while (fd > highest && !atomic_compare_exchange_weak(&connections->highest, &highest, fd))
        ;
}

void connections_put(struct connections *connections, int fd)
{
    if (fd >= connections->descriptors) {
        close(fd);
        return;
    }
    note_highest(connections, fd);
    atomic_fetch_add(&connections->count, 1);
    atomic_store(&connections->since[fd], now_ms());
    if (!watch(connections, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLONESHOT) &&
        atomic_exchange(&connections->since[fd], 0) != 0) {
        close(fd);
        atomic_fetch_sub(&connections->count, 1);
    }
}

int connections_take(struct connections *connections)
{
    struct epoll_event event;

    for (;;) {
        if (epoll_wait(connections->waiting, &event, 1, -1) != 1)
            continue;
        if (event.data.fd == connections->end)
            return -1;
        if (atomic_exchange(&connections->since[event.data.fd], 0) != 0) {
            atomic_fetch_add(&connections->served, 1);
            return event.data.fd;
        }
    }
}

void connections_put_back(struct connections *connections, int fd)
{
    atomic_fetch_sub(&connections->served, 1);
    atomic_store(&connections->since[fd], now_ms());
    watch(connections, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT);
}

void connections_gone(struct connections *connections)
{
    atomic_fetch_sub(&connections->served, 1);
    atomic_fetch_sub(&connections->count, 1);
}

/* Whether the descriptor would wake somebody who waits for it. */
static bool is_readable(int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLIN};

    return poll(&poller, 1, 0) > 0;
}

/* One that has something to say waits for a thread, and is not idle. */
static void close_if_idle(struct connections *connections, int fd, int64_t before)
{
    int64_t since = atomic_load(&connections->since[fd]);

    if (since != 0 && since <= before && !is_readable(fd) &&
        atomic_compare_exchange_strong(&connections->since[fd], &since, 0)) {
        atomic_fetch_sub(&connections->count, 1);
        close(fd);
    }
}

int connections_close_idle(struct connections *connections)
{
    int64_t now = now_ms();
    int64_t pause = connections->idle_ms < LOOK_MS ? connections->idle_ms : LOOK_MS;

    if (atomic_load(&connections->count) == 0)
        return -1;
    if (now >= connections->look_at) {
        for (int fd = 0; fd <= atomic_load(&connections->highest); fd++)
            close_if_idle(connections, fd, now - connections->idle_ms);
        connections->look_at = now + pause;
    }
    return (int)(connections->look_at - now);
}

unsigned connections_count(const struct connections *connections)
{
    return atomic_load(&connections->count);
}

unsigned connections_served(const struct connections *connections)
{
    return atomic_load(&connections->served);
}

bool connections_wait(const struct connections *connections)
{
    return is_readable(connections->waiting);
}

void connections_end(struct connections *connections)
{
    uint64_t one = 1;

    if (write(connections->end, &one, sizeof one) != sizeof one)
        abort(); /* it has room for 2^64 - 2 of them */
}
