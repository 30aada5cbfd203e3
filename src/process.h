/* SPDX-License-Identifier: MIT
 *
 * What a process that holds secrets keeps to itself, and what it takes.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stddef.h>

/* To be called first of all, before any other thread: from here on the process leaves no core,
 * nobody but root reads its memory, /proc/PID/environ is empty, although getenv(3) still knows
 * what stood there, and jansson overwrites what it frees. False: out of memory. */
bool process_hide(void) __attribute__((warn_unused_result));

struct process_usage {
    double cpu_seconds;
    double started; /* seconds since 1970 */
    size_t resident_bytes, virtual_bytes;
    unsigned threads;
};

/* What this process takes, as the kernel has it. False: it does not say. */
bool process_usage(struct process_usage *usage) __attribute__((warn_unused_result));

#endif
