/* SPDX-License-Identifier: MIT */
#include "log.h"

#include "secret.h"
#include "text.h"
#include "utf8.h"

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    TEXT_MAX = 2048, /* of the formatted text, before escapes */
    LINE_MAX_BYTES = 4096, /* what a pipe that has room takes at once (PIPE_BUF) */
    PATIENCE_MS = 100,
    LIMIT_MS = 1000,
};

static const char *const level_names[] = {"trace", "debug", "info", "warn", "error"};
/* The words and widths of Vault's own log. */
static const char *const level_tags[] = {"[TRACE]", "[DEBUG]", "[INFO] ", "[WARN] ", "[ERROR]"};
static const char *const format_names[] = {"standard", "json"};
/* Of syslog, as journald reads them at the start of a line (sd-daemon(3)). */
static const char *const priorities[] = {"<7>", "<7>", "<6>", "<4>", "<3>"};

static _Atomic enum log_level threshold = LOG_LEVEL_INFO;
static _Atomic enum log_format output_format = LOG_FORMAT_STANDARD;
static bool goes_to_journal;
static _Thread_local const char *current_request_id;

/* systemd says which pipe or socket is the journal's; standard error may have become another. */
void log_open(void)
{
    const char *journal = getenv("JOURNAL_STREAM");
    uintmax_t device, inode;
    struct stat status;

    goes_to_journal = journal && sscanf(journal, "%ju:%ju", &device, &inode) == 2 &&
                      fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
                      status.st_ino == inode;
}

void log_set_level(enum log_level level)
{
    threshold = level;
}

void log_set_format(enum log_format format)
{
    output_format = format;
}

bool log_level_parse(const char *name, enum log_level *out)
{
    for (int i = LOG_LEVEL_TRACE; i <= LOG_LEVEL_ERROR; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_format_parse(const char *name, enum log_format *out)
{
    for (int i = LOG_FORMAT_STANDARD; i <= LOG_FORMAT_JSON; i++) {
        if (strcmp(name, format_names[i]) == 0) {
            *out = (enum log_format)i;
            return true;
        }
    }
    return false;
}

void log_set_request_id(const char *request_id)
{
    current_request_id = request_id;
}

/* Copies text as the inside of a JSON string, which is also a fit escape for a plain line. */
static void escape(char *out, size_t size, const char *text)
{
    size_t used = 0;
    size_t left = strlen(text);

    while (left > 0 && used + UTF8_ESCAPED_MAX < size) {
        if (output_format == LOG_FORMAT_JSON && (*text == '"' || *text == '\\'))
            out[used++] = '\\';
        used += utf8_escape(out + used, &text, &left);
    }
    out[used] = '\0';
}

static void format_now(char out[static 32])
{
    struct timespec now;
    struct tm utc;
    char seconds[24];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    text_format(out, 32, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
}

enum log_level log_limit(struct log_limit *limit, enum log_level level, unsigned *held)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    int64_t now = (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
    int64_t quiet_until = limit->quiet_until;
    *held = 0;
    if (now < quiet_until ||
        !atomic_compare_exchange_strong(&limit->quiet_until, &quiet_until, now + LIMIT_MS)) {
        limit->held++;
        return LOG_LEVEL_DEBUG;
    }
    *held = atomic_exchange(&limit->held, 0);
    return level;
}

static void format_line(char line[static LINE_MAX_BYTES], enum log_level level,
                        const char *text)
{
    char escaped[LINE_MAX_BYTES - 256], now[32];
    const char *id = current_request_id;
    const char *priority = goes_to_journal ? priorities[level] : "";

    escape(escaped, sizeof escaped, text);
    format_now(now);
    if (output_format == LOG_FORMAT_JSON)
        text_format(line, LINE_MAX_BYTES - 1,
                    "%s{\"@level\":\"%s\",\"@message\":\"%s\",\"@timestamp\":\"%s\"%s%s%s}", priority,
                    level_names[level], escaped, now, id ? ",\"request_id\":\"" : "", id ? id : "",
                    id ? "\"" : "");
    else
        text_format(line, LINE_MAX_BYTES - 1, "%s%s %s %s%s%s", priority, now, level_tags[level],
                    escaped, id ? " request_id=" : "", id ? id : "");
    strcat(line, "\n");
}

/* One write a line. Whoever reads the log may have stopped to: the first line that finds no room
 * waits a moment, those after it are counted and let go. If stderr is gone there is nobody left
 * to tell. */
static void put(const char *line)
{
    static _Atomic unsigned lost;
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    char notice[LINE_MAX_BYTES], text[64];

    if (poll(&out, 1, lost == 0 ? PATIENCE_MS : 0) == 0) {
        lost++;
        return;
    }
    unsigned count = atomic_exchange(&lost, 0);
    if (count > 0) {
        text_format(text, sizeof text, "(%u lines of the log were lost)", count);
        format_line(notice, LOG_LEVEL_WARN, text);
        if (write(STDERR_FILENO, notice, strlen(notice)) < 0)
            return;
    }
    if (write(STDERR_FILENO, line, strlen(line)) < 0)
        return;
}

void log_write(enum log_level level, const char *format, ...)
{
    char text[TEXT_MAX], line[LINE_MAX_BYTES];
    va_list arguments;

    if (level < threshold)
        return;
    va_start(arguments, format);
    text_vformat(text, sizeof text, format, arguments);
    va_end(arguments);
    secret_mask(text, strlen(text));
    format_line(line, level, text);
    put(line);
}
