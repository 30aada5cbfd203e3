/* SPDX-License-Identifier: MIT
 *
 * The handlers of sys/plugins/runtimes/catalog. Where a rule comes from: the API's page, and
 * handlePluginRuntimeCatalog… in vault/logical_system.go.
 */
#ifndef HANDLER_RUNTIME_H
#define HANDLER_RUNTIME_H

#include "error.h"

#include <stdbool.h>

struct call;

/* 200 with the runtime; 404 without a text if there is none. */
bool handler_runtime_read(struct call *call, struct error *err);

/* 200 with {"runtimes": […]}, empty or not. */
bool handler_runtime_list(struct call *call, struct error *err);

/* 204. The whole record is replaced: what is not given goes back to its default. */
bool handler_runtime_register(struct call *call, struct error *err);

/* 204; 404 that names the runtime if there is none; 400 that names the plugins that refer to
 * it. */
bool handler_runtime_delete(struct call *call, struct error *err);

#endif
