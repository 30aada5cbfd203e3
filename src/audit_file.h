/* SPDX-License-Identifier: MIT
 *
 * The file that audit records are appended to, a line each. Lines of several threads and of
 * several processes do not mix, and one that was not written whole is not there at all. Beside
 * it lies an empty one, PATH.lock, of mode 0600: who may read the log cannot stop it.
 */
#ifndef AUDIT_FILE_H
#define AUDIT_FILE_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct audit_file; /* opaque */

/* Opens or makes a file; path is copied, mode is that of one that is made, whatever the umask.
 * NULL with *err (ERROR_MISCONFIGURED): also for what is neither a regular file nor a character
 * device. Ours: audit_file_close, once no thread uses it. */
struct audit_file *audit_file_open(const char *path, mode_t mode, struct error *err)
    __attribute__((warn_unused_result));
void audit_file_close(struct audit_file *file); /* NULL is fine */

/* Whether audit_file_open would succeed, as far as one can tell without making a file. */
bool audit_file_check(const char *path, struct error *err) __attribute__((warn_unused_result));

/* Appends line[length], which ends in a line feed; for any number of threads at once. Waits for
 * other threads and processes for 2 s at most. False with why, and the file is as it was: libc's
 * words. */
bool audit_file_append(struct audit_file *file, const char *line, size_t length,
                       const char **why) __attribute__((warn_unused_result));

/* Goes on with what is at the path now. False with *err, and the file stays the old one. */
bool audit_file_reopen(struct audit_file *file, struct error *err)
    __attribute__((warn_unused_result));

#endif
