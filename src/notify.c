/* SPDX-License-Identifier: MIT */
#include "notify.h"

#include "text.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static struct {
    struct sockaddr_un address;
    socklen_t size; /* of address; 0: there is nobody to tell */
    unsigned watchdog_ms;
    unsigned listeners;
} manager;

/* Whether a variable that says which process it is meant for means this one. */
static bool is_meant(const char *variable)
{
    const char *pid = getenv(variable);

    return pid && strtol(pid, NULL, 10) == (long)getpid();
}

static void read_address(void)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t length = path ? strlen(path) : 0;

    if (length < 2 || length >= sizeof manager.address.sun_path || !strchr("/@", *path))
        return;
    manager.address.sun_family = AF_UNIX;
    memcpy(manager.address.sun_path, path, length);
    if (*path == '@') /* the abstract namespace */
        manager.address.sun_path[0] = '\0';
    manager.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

void notify_open(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *count = getenv("LISTEN_FDS");

    read_address();
    if (usec && (!getenv("WATCHDOG_PID") || is_meant("WATCHDOG_PID")))
        manager.watchdog_ms = (unsigned)(strtoul(usec, NULL, 10) / 1000);
    if (count && is_meant("LISTEN_PID"))
        manager.listeners = (unsigned)strtoul(count, NULL, 10);
}

unsigned notify_listeners(void)
{
    return manager.listeners;
}

unsigned notify_watchdog_ms(void)
{
    return manager.watchdog_ms;
}

/* The manager may be about to start anew: whether it hears this is its affair. */
static void tell(const char *state)
{
    int fd = manager.size > 0 ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;

    if (fd < 0)
        return;
    (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&manager.address,
                  manager.size);
    close(fd);
}

void notify_ready(void)
{
    tell("READY=1");
}

void notify_reloading(void)
{
    struct timespec now;
    char state[64];

    clock_gettime(CLOCK_MONOTONIC, &now);
    text_format(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%jd",
                (intmax_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    tell(state);
}

void notify_stopping(void)
{
    tell("STOPPING=1");
}

void notify_alive(void)
{
    tell("WATCHDOG=1");
}
