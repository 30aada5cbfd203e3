/* SPDX-License-Identifier: MIT
 *
 * Handlers of sys/capabilities, -self and -accessor: what a token may do on paths. Rules and
 * texts are those of vault/capabilities.go and vault/logical_system.go.
 */
#ifndef HANDLER_CAPABILITY_H
#define HANDLER_CAPABILITY_H

#include "error.h"

#include <stdbool.h>

struct call;

/* 200 with a list of capabilities for each path that was asked. */
bool handler_capability_self(struct call *call, struct error *err);
bool handler_capability_token(struct call *call, struct error *err);
bool handler_capability_accessor(struct call *call, struct error *err);

#endif
