/* SPDX-License-Identifier: MIT
 *
 * JSON (RFC 8259) into the tree of hcl.h: the other notation of the same files. Not
 * jansson's reader: that one takes failed allocations for faults in the text, and goes on
 * with what is left of a string or number. For hcl.c only.
 */
#ifndef HCL_JSON_H
#define HCL_JSON_H

#include "error.h"

#include <jansson.h>
#include <stddef.h>

/* Reads text[length], UTF-8 without a NUL whose first byte that is not blank is '{'. As
 * hcl_parse. */
json_t *hcl_json_parse(const char *text, size_t length, struct error *err)
    __attribute__((warn_unused_result));

#endif
