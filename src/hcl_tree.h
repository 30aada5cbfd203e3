/* SPDX-License-Identifier: MIT
 *
 * The pieces of the tree that hcl.h describes, as hcl.c and hcl_json.c build it. Not for
 * anybody else.
 */
#ifndef HCL_TREE_H
#define HCL_TREE_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>

/* A new reference to an item, NULL without memory. Steals value, borrows keys. */
json_t *hcl_item_new(json_t *keys, bool assigned, unsigned line, unsigned column,
                     json_t *value) __attribute__((warn_unused_result));

/* A new reference to {"items": items}. Steals items. */
json_t *hcl_object_new(json_t *items) __attribute__((warn_unused_result));

/* Passes value on; NULL means that jansson's memory ran out. */
bool hcl_made(json_t **out, json_t *value, struct error *err);

/* Notes the assigned key at a place in seen, an object; twice is an error. */
bool hcl_note_key(json_t *seen, const char *key, unsigned line, unsigned column,
                  struct error *err);

#endif
