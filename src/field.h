/* SPDX-License-Identifier: MIT
 *
 * How Vault coerces a value: one member of a request's data, read as the type that the API's
 * page gives the field. A JSON body, a form and a query come through here alike.
 *
 * Absent and null are the type's zero value. What is refused is told in plain words: the field
 * and what would be right, never what was sent. Differences from Vault, all on purpose: a
 * number is no string. (Vault keeps its digits; what looks like a limit in a text field is a
 * slip.) And jansson knows no sign of zero, so the number -0 is false rather than refused.
 *
 * Not for: which values make sense (handler_*.c).
 */
#ifndef FIELD_H
#define FIELD_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A string of max_bytes at most; true is "1" and false is "0". *out is borrowed from data. */
bool field_string(const json_t *data, const char *field, size_t max_bytes, const char **out,
                  struct error *err) __attribute__((warn_unused_result));

/* An integer of 64 bits: a JSON integer, a boolean as 1 or 0, or a text that Go's
 * strconv.ParseInt(text, 0, 64) takes; the empty text is 0. No fraction and no exponent, not
 * even of a whole number. */
bool field_integer(const json_t *data, const char *field, int64_t *out, struct error *err)
    __attribute__((warn_unused_result));

/* A boolean: true and false, the integers 1 and 0, or a text that Go's strconv.ParseBool
 * takes; the empty text is false. */
bool field_boolean(const json_t *data, const char *field, bool *out, struct error *err)
    __attribute__((warn_unused_result));

/* A list of strings; a text alone is a list of one, or with split of those between its commas.
 * *out is a new array without empty members, NULL: absent or null. */
bool field_strings(const json_t *data, const char *field, bool split, json_t **out,
                   struct error *err) __attribute__((warn_unused_result));

/* A list of strings as they are, but for blanks around them; a text alone is a list of one.
 * *out is a new array, empty: absent, null or the empty text. */
bool field_list(const json_t *data, const char *field, json_t **out, struct error *err)
    __attribute__((warn_unused_result));

/* An object of strings, or a list of texts such as "key=value". *out is a new object, NULL:
 * absent or null. */
bool field_map(const json_t *data, const char *field, json_t **out, struct error *err)
    __attribute__((warn_unused_result));

/* A time: a number of seconds or a text that duration_parse takes, 0 to a hundred years. *out is
 * whole seconds, a part of one counting as one: what is short must not become none. A negative one is refused as Vault does it: "<field> must be positive". */
bool field_seconds(const json_t *data, const char *field, int64_t *out, struct error *err)
    __attribute__((warn_unused_result));

#endif
