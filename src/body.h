/* SPDX-License-Identifier: MIT
 *
 * The JSON of a request's body → a jansson tree, within Vault's limits. They are checked before
 * a recursive parser sees the text. Whatever is refused is told with its line and column and
 * never quoted: a body may hold secrets.
 *
 * Stricter than Vault, on purpose, wherever it stands in the body: text that is not UTF-8, half
 * a surrogate pair, U+0000 and a number that 64 bits do not hold are refused rather than
 * replaced or kept unread.
 *
 * Not for: forms (request.c), and what the members mean (field.c).
 */
#ifndef BODY_H
#define BODY_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { /* Vault's */
    BODY_DEPTH_MAX = 300,
    BODY_STRING_MAX = 1024 * 1024, /* bytes between the quotes, as sent */
    BODY_ENTRIES_MAX = 10000,      /* of one object or list */
    BODY_TOKENS_MAX = 500000,      /* brackets, commas, colons, strings, numbers, words */
};

/* Parses one JSON value of any type with nothing but blanks around it. *out is a new
 * reference. */
bool body_parse(json_t **out, const char *text, size_t length, struct error *err)
    __attribute__((warn_unused_result));

#endif
