/* SPDX-License-Identifier: MIT
 *
 * The project's one reader of HCL (version 1, as hashicorp/hcl v1 parses it) and of the JSON
 * that the same files may be written in: policies and the worker's configuration go through
 * it. Pure: text in, a jansson tree out. It knows no key; what is allowed where is up to the
 * caller.
 *
 * The tree keeps what its readers need for good messages: the order of items and their places.
 *
 *   value   scalar        json string, integer, real, true, false
 *           list          json array of values
 *           object        {"items": [item, …]}
 *   item    {"keys": ["path", "secret/+"],   one string or more: an identifier and block labels
 *            "assigned": true | false,       key = value, or a block; in JSON: not an object
 *            "line": 1, "column": 1,         of the first key (in JSON the last), from 1,
 *                                            columns in bytes
 *            "value": value}
 *
 * The text as a whole is an object. JSON input (first byte that is not blank: '{') gives the
 * same tree; nested JSON objects become items with several keys as hashicorp/hcl flattens them,
 * so {"path": {"p": {…}}} reads like path "p" {…}. JSON's null reads as "".
 */
#ifndef HCL_H
#define HCL_H

#include "error.h"

#include <jansson.h>
#include <stddef.h>

enum {
    HCL_DEPTH_MAX = 64,               /* of nested objects and lists */
    HCL_LENGTH_MAX = 4 * 1024 * 1024, /* bytes */
};

/* Parses text[length] (any bytes; no NUL needed at the end). Returns a new reference, or NULL
 * with *err: ERROR_EXHAUSTED without memory, else ERROR_BAD_REQUEST, err->text without the
 * place ("illegal char"), err->line and err->column the place (0, 0 only where the text as a
 * whole is too long). The same assigned key twice in one object is an error,
 * whose text is Vault's: `The argument "capabilities" at 4:3 was already set. Each argument
 * can only be defined once`. Repeated blocks are kept as repeated items. */
json_t *hcl_parse(const char *text, size_t length, struct error *err)
    __attribute__((warn_unused_result));

#endif
