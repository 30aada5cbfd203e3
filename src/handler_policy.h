/* SPDX-License-Identifier: MIT
 *
 * Handlers of sys/policies/acl and of the older sys/policy. Rules and texts are those of
 * vault/logical_system.go.
 */
#ifndef HANDLER_POLICY_H
#define HANDLER_POLICY_H

#include "error.h"

#include <stdbool.h>

struct call;

/* 200 with the names; the older path has them under `policies` as well. */
bool handler_policy_list(struct call *call, struct error *err);
bool handler_policy_list_old(struct call *call, struct error *err);

/* 200 with the text, under `policy`, on the older path `rules`; 404. */
bool handler_policy_read(struct call *call, struct error *err);
bool handler_policy_read_old(struct call *call, struct error *err);

/* 204, or 200 with a warning. A text that does not compile is refused with its place. */
bool handler_policy_write(struct call *call, struct error *err);
bool handler_policy_write_old(struct call *call, struct error *err);

/* 204, also if there is none. */
bool handler_policy_delete(struct call *call, struct error *err);

#endif
