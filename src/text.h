/* SPDX-License-Identifier: MIT
 *
 * Bounded strings: formatting into a fixed array, and the few questions about bytes that the
 * C library answers by locale.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* Formats into out[size], size ≥ 4, always NUL-terminated. What does not fit is cut and ends
 * in "...", never in half a UTF-8 sequence. Returns false if it was cut. */
bool text_format(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool text_vformat(char *out, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* ASCII only, whatever the locale. */
bool text_is_digit(char c);
bool text_is_word(char c); /* [0-9A-Za-z_], the \w of Go's regular expressions */

char text_to_lower(char c);

/* The value of a hexadecimal digit, or -1. */
int text_hex_value(char c);

/* The words that Go's strconv.ParseBool takes, which are Vault's: 1 t T TRUE true True and
 * 0 f F FALSE false False. False, and *out untouched, for any other. */
bool text_parse_bool(const char *text, bool *out);

bool text_starts_with(const char *text, const char *prefix);

#endif
