/* SPDX-License-Identifier: MIT
 *
 * Handlers of what clients ask before they have a token: health, seal, init, leader, mounts.
 * Bodies as in http/sys_health.go, sys_seal.go, sys_leader.go, sys_init.go of Vault, without an
 * envelope around them but for the mounts.
 */
#ifndef HANDLER_STATUS_H
#define HANDLER_STATUS_H

#include "error.h"

#include <stdbool.h>

struct call;

/* 200; 429 where PostgreSQL is a standby; 503 where it does not answer, or the schema does not
 * fit. The first two may be set by ?activecode= and ?standbycode=. `storage` says which. */
bool handler_status_health(struct call *call, struct error *err);

bool handler_status_seal(struct call *call, struct error *err);
bool handler_status_init(struct call *call, struct error *err);
bool handler_status_leader(struct call *call, struct error *err);
bool handler_status_mounts(struct call *call, struct error *err);
bool handler_status_mount(struct call *call, struct error *err); /* 403 for any path */

#endif
