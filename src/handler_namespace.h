/* SPDX-License-Identifier: MIT
 *
 * Handlers of sys/namespaces: those directly below the request's. Vault's community edition has
 * none; shape and rules are those of its API's page and of OpenBao.
 */
#ifndef HANDLER_NAMESPACE_H
#define HANDLER_NAMESPACE_H

#include "error.h"

#include <stdbool.h>

struct call;

/* 200 with `keys` and `key_info`; 404 if there is none, as for every empty list of keys. */
bool handler_namespace_list(struct call *call, struct error *err);

/* 200 with `custom_metadata`, `id` and `path`; 404. */
bool handler_namespace_read(struct call *call, struct error *err);

/* The same, whether it was there or not. */
bool handler_namespace_write(struct call *call, struct error *err);

/* The same; the body is merged into `custom_metadata`. 404. */
bool handler_namespace_patch(struct call *call, struct error *err);

/* 204; 200 with a warning if there is none; 400 that says what it still holds. */
bool handler_namespace_delete(struct call *call, struct error *err);

#endif
