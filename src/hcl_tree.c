/* SPDX-License-Identifier: MIT */
#include "hcl_tree.h"

json_t *hcl_item_new(json_t *keys, bool assigned, unsigned line, unsigned column,
                     json_t *value)
{
    json_t *item = json_object();

    int failed = json_object_set(item, "keys", keys);
    failed |= json_object_set_new(item, "assigned", json_boolean(assigned));
    failed |= json_object_set_new(item, "line", json_integer(line));
    failed |= json_object_set_new(item, "column", json_integer(column));
    failed |= json_object_set_new(item, "value", value);
    if (failed == 0)
        return item;
    json_decref(item);
    return NULL;
}

json_t *hcl_object_new(json_t *items)
{
    json_t *object = json_object();

    if (json_object_set_new(object, "items", items) == 0)
        return object;
    json_decref(object);
    return NULL;
}

bool hcl_made(json_t **out, json_t *value, struct error *err)
{
    *out = value;
    return value != NULL || error_exhausted(err);
}

/* The text is the one of Vault since 1.20 (its hcl is v1.0.1-vault-7). */
bool hcl_note_key(json_t *seen, const char *key, unsigned line, unsigned column,
                  struct error *err)
{
    if (json_object_get(seen, key) != NULL)
        return error_set_at(
            err, ERROR_BAD_REQUEST, line, column,
            "The argument \"%s\" at %u:%u was already set. Each argument can "
            "only be defined once",
            key, line, column);
    if (json_object_set_new_nocheck(seen, key, json_true()) != 0)
        return error_exhausted(err);
    return true;
}
