/* SPDX-License-Identifier: MIT
 *
 * JSON as Go's encoding/json spells it: compact; <, >, & and U+2028, U+2029 escaped; escapes
 * with lower-case digits. It is what Vault's clients see byte for byte.
 */
#ifndef GO_JSON_H
#define GO_JSON_H

#include <jansson.h>

struct arena;

/* In the arena; NULL: out of memory. */
char *go_json(const json_t *value, struct arena *arena) __attribute__((warn_unused_result));

#endif
