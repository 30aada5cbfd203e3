/* SPDX-License-Identifier: MIT
 *
 * What the worker can no longer do once it serves, whatever a request makes of it: write to
 * files (Landlock) and make system calls that it has no use for (seccomp). Nobody gets out.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

/* Builds with an address or thread sanitizer, which needs calls of its own: more are let through. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANDBOX_FOR_SANITIZERS
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANDBOX_FOR_SANITIZERS
#endif
#endif

/* What becomes of a call that is not in the table (sandbox_calls.c). */
enum sandbox_calls {
    SANDBOX_CALLS_OFF = 0, /* it is made: there is no filter */
    SANDBOX_CALLS_ENFORCE, /* it fails with EPERM */
    SANDBOX_CALLS_KILL,    /* it ends the process */
};

/* The names that configuration uses: off, enforce, kill. False, and *out untouched, for any
 * other. */
bool sandbox_calls_parse(const char *name, enum sandbox_calls *out);

/* Loads the filter, for all threads that there are and will be. What it refuses the kernel writes to
 * its audit log (type 1326, SECCOMP). False with *err: the kernel does not take it. A build
 * without libseccomp says so in the log. */
bool sandbox_enter_calls(enum sandbox_calls calls, struct error *err)
    __attribute__((warn_unused_result));

struct sandbox_folder {
    const char *path;
    bool writable; /* files may be made and written there; false: they may be removed */
};

/* From here on this thread, and those that it will make, cannot make, write or remove a file but in
 * those folders. What is open stays so, and reading is not restricted. A kernel without Landlock is a line in the log. False
 * with *err: a folder that there is not. */
bool sandbox_enter_files(const struct sandbox_folder folders[], size_t count, struct error *err)
    __attribute__((warn_unused_result));

#endif
