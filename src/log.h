/* SPDX-License-Identifier: MIT
 *
 * Logging: one line an event, to stderr, in one write so that threads do not mix. The id of
 * the request that the calling thread serves is put in by the logger, not by callers.
 * Tokens, hashes and connection strings must not reach this module in any form.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_TRACE = 0,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
};

enum log_format {
    LOG_FORMAT_STANDARD = 0, /* 2026-01-02T03:04:05.678Z [INFO]  text request_id=… */
    LOG_FORMAT_JSON,         /* {"@level":"info","@message":…,"@timestamp":…,"request_id":…} */
};

/* To be called before any other thread. Where standard error leads to systemd's journal, each line
 * begins with its priority from here on, which the journal takes off. */
void log_open(void);

/* At any time; the defaults are info and standard. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);

/* The names that configuration uses. False, and *out untouched, for any other. */
bool log_level_parse(const char *name, enum log_level *out);
bool log_format_parse(const char *name, enum log_format *out);

/* The request that this thread serves from now on; borrowed until it is set to NULL again. */
void log_set_request_id(const char *request_id);

/* Writes a line if level is enabled. Control bytes and invalid UTF-8 in the text are escaped,
 * so that one event stays one line whatever a client sent. Lines end at 4 KiB. Where
 * nobody reads the log, lines are lost rather than waited for. */
void log_write(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Of an event that can repeat as often as requests come. Zero to begin with. */
struct log_limit {
    _Atomic int64_t quiet_until; /* ms of CLOCK_MONOTONIC */
    _Atomic unsigned held;
};

/* The level at which to write it this time: its own once a second, else debug. *held becomes the
 * number of those that were not written at their own level since. */
enum log_level log_limit(struct log_limit *limit, enum log_level level, unsigned *held);

#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
