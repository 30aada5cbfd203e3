/* SPDX-License-Identifier: MIT
 *
 * The handlers of sys/plugins/catalog. No plugin is ever run, and no file looked at: what is
 * registered is what the client says. Where a rule comes from: handlePluginCatalog… in
 * vault/logical_system.go, and vault/plugincatalog/plugin_catalog.go.
 */
#ifndef HANDLER_PLUGIN_H
#define HANDLER_PLUGIN_H

#include "error.h"

#include <stdbool.h>

struct call;

/* 200 with an array of names for each type that has any, and `detailed`, every version. */
bool handler_plugin_list(struct call *call, struct error *err);

/* 200 with the names of a type's plugins as `keys`; 404 without a text if there are none. */
bool handler_plugin_list_names(struct call *call, struct error *err);

/* 200 with the plugin, or one version of it; 404 without a text if there is none; without a
 * type nothing but a warning. */
bool handler_plugin_read(struct call *call, struct error *err);

/* 204. The whole record is replaced: what is not given goes back to its default. */
bool handler_plugin_register(struct call *call, struct error *err);

/* 204, whether or not there was one; without a type 200 with a warning. */
bool handler_plugin_delete(struct call *call, struct error *err);

#endif
