/* SPDX-License-Identifier: MIT */
#include "process.h"

#include "secret.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* The kernel shows what lies where it put the environment at the start. A password in there,
 * PGPASSWORD, is needed as long as connections are made, so the texts move. */
static bool move_environment(void)
{
    for (char **entry = environ; *entry; entry++) {
        char *copy = strdup(*entry);
        if (!copy)
            return false;
        secret_wipe(*entry, strlen(*entry));
        *entry = copy;
    }
    return true;
}

bool process_hide(void)
{
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};

    json_set_alloc_funcs(malloc, secret_free);
    return setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
           move_environment();
}

static double seconds_of(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* proc(5): the name, which may hold anything, ends at the last ')'; fields count from 3 behind it. */
static bool read_stat(char line[], size_t size)
{
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, line, size - 1);

    if (fd >= 0)
        close(fd);
    line[length > 0 ? length : 0] = '\0';
    return length > 0;
}

bool process_usage(struct process_usage *usage)
{
    double ticks = (double)sysconf(_SC_CLK_TCK);
    unsigned long user, kernel, size;
    unsigned long long started;
    char line[1024], *rest;
    long threads, pages;

    if (!read_stat(line, sizeof line) || !(rest = strrchr(line, ')')) ||
        sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %ld %*d "
                     "%llu %lu %ld", &user, &kernel, &threads, &started, &size, &pages) != 6)
        return false;
    *usage = (struct process_usage){
        .cpu_seconds = (double)(user + kernel) / ticks,
        .started = seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME) + (double)started / ticks,
        .resident_bytes = (size_t)pages * (size_t)sysconf(_SC_PAGESIZE),
        .virtual_bytes = size,
        .threads = (unsigned)threads,
    };
    return true;
}
