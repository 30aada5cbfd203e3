/* SPDX-License-Identifier: MIT */
#include "error.h"

#include "text.h"

#include <assert.h>
#include <stdarg.h>

static const struct {
    const char *name;
    unsigned status;
    enum log_level level;
} table[ERROR_MAX] = {
    [ERROR_NONE] = {"none", 200, LOG_LEVEL_DEBUG},
#define X(code, status, level) [ERROR_##code] = {#code, status, level},
    ERROR_TABLE(X)
#undef X
};

static void __attribute__((format(printf, 3, 0)))
error_fill(struct error *err, enum error_code code, const char *format, va_list arguments)
{
    assert(code > ERROR_NONE && code < ERROR_MAX);
    err->code = code;
    err->line = err->column = 0;
    err->detail[0] = '\0';
    text_vformat(err->text, sizeof err->text, format, arguments);
}

void error_init(struct error *err)
{
    err->code = ERROR_NONE;
    err->line = err->column = 0;
    err->text[0] = err->detail[0] = '\0';
}

bool error_set(struct error *err, enum error_code code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    error_fill(err, code, format, arguments);
    va_end(arguments);
    return false;
}

bool error_set_at(struct error *err, enum error_code code, unsigned line, unsigned column,
                  const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    error_fill(err, code, format, arguments);
    va_end(arguments);
    err->line = line;
    err->column = column;
    return false;
}

bool error_is_of_storage(const struct error *err)
{
    return err->code == ERROR_STORAGE_AWAY || err->code == ERROR_STORAGE_READ_ONLY;
}

const char *error_name(enum error_code code)
{
    return table[code].name;
}

unsigned error_status(enum error_code code)
{
    return table[code].status;
}

enum log_level error_level(enum error_code code)
{
    return table[code].level;
}
