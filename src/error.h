/* SPDX-License-Identifier: MIT
 *
 * What can go wrong, as one table: its name, the HTTP status that a client gets and the level
 * at which it is logged. Code names an error, never a number.
 *
 * A function that can fail returns bool (or a pointer) and takes a `struct error *` last. It
 * fills it once, where the fault is known; callers pass it on untouched and nobody but
 * exchange.c and the programs' main files reports it.
 */
#ifndef ERROR_H
#define ERROR_H

#include "log.h"

#include <stdbool.h>
#include <stddef.h>

/*       code                   status  log level */
#define ERROR_TABLE(X)                                                                       \
    X(BAD_REQUEST,              400,    LOG_LEVEL_INFO)                                      \
    X(IN_USE,                   400,    LOG_LEVEL_INFO)                                      \
    X(ALREADY_DONE,             400,    LOG_LEVEL_INFO)                                      \
    X(PERMISSION_DENIED,        403,    LOG_LEVEL_INFO)                                      \
    X(NOT_FOUND,                404,    LOG_LEVEL_INFO)                                      \
    X(UNSUPPORTED_OPERATION,    405,    LOG_LEVEL_INFO)                                      \
    X(TOO_LARGE,                413,    LOG_LEVEL_INFO)                                      \
    X(UNSUPPORTED_MEDIA,        415,    LOG_LEVEL_INFO)                                      \
    X(HEADER_TOO_LARGE,         431,    LOG_LEVEL_INFO)                                      \
    X(INTERNAL,                 500,    LOG_LEVEL_ERROR)                                     \
    X(MISCONFIGURED,            500,    LOG_LEVEL_ERROR)                                     \
    X(STORAGE_AWAY,             503,    LOG_LEVEL_ERROR)                                     \
    X(STORAGE_READ_ONLY,        503,    LOG_LEVEL_WARN)                                      \
    X(EXHAUSTED,                503,    LOG_LEVEL_ERROR)

enum error_code {
    ERROR_NONE = 0,
#define X(code, status, level) ERROR_##code,
    ERROR_TABLE(X)
#undef X
    ERROR_MAX
};

/* The texts of 403, which scripts match: Vault's to the letter. */
#define ERROR_TEXT_NO_TOKEN "permission denied"
#define ERROR_TEXT_INVALID_TOKEN                                                             \
    "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"
#define ERROR_TEXT_NOT_ALLOWED "1 error occurred:\n\t* permission denied\n\n"

enum {
    ERROR_TEXT_MAX = 4096,  /* bytes of text, its NUL included; longer text ends in "..." */
    ERROR_DETAIL_MAX = 512, /* likewise, of detail */
};

struct error {
    enum error_code code;
    unsigned line, column;         /* of the text that was read, from 1; 0: no place known */
    char text[ERROR_TEXT_MAX];     /* for the client; "" becomes {"errors":[]} */
    char detail[ERROR_DETAIL_MAX]; /* for the log only: what PostgreSQL or libc said */
};

/* No error yet. Leaves what need not be read as it is: an error is large. */
void error_init(struct error *err);

/* Fills *err; line, column and detail are reset. Always returns false, so that a function can
 * end with `return error_set(err, …)`. The text must never hold a token, hash or password. */
bool error_set(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, with the place of the fault in a text that was read. */
bool error_set_at(struct error *err, enum error_code code, unsigned line, unsigned column,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The request's memory ran out: a clean 503. Always returns false, which compilers are to see. */
static inline bool error_exhausted(struct error *err)
{
    error_set(err, ERROR_EXHAUSTED, "out of memory");
    return false;
}

/* Whether it is the storage that failed, which may be back in a moment. */
bool error_is_of_storage(const struct error *err);

/* The table's columns. */
const char *error_name(enum error_code code);
unsigned error_status(enum error_code code);
enum log_level error_level(enum error_code code);

#endif
