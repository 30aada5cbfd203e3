/* SPDX-License-Identifier: MIT
 *
 * JSON as Go's encoding/json spells it: compact; <, >, & and U+2028, U+2029 escaped; escapes
 * with lower-case digits. It is what Vault's clients see byte for byte.
 */
#ifndef GO_JSON_H
#define GO_JSON_H

#include <jansson.h>
#include <stddef.h>

struct arena;

/* In the arena; NULL: out of memory. */
char *go_json(const json_t *value, struct arena *arena) __attribute__((warn_unused_result));

/* The same of JSON that is compact already and has no escape that it could do without, as row_to_json()
 * of PostgreSQL and jansson write it: how many bytes longer it may become, and the bytes. Returns
 * how many there are. */
size_t go_json_growth(const char *json, size_t length);
size_t go_json_respell(char *out, const char *json, size_t length);

#endif
