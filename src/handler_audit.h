/* SPDX-License-Identifier: MIT
 *
 * The hash of a text as the audit log has it.
 */
#ifndef HANDLER_AUDIT_H
#define HANDLER_AUDIT_H

#include "error.h"

#include <stdbool.h>

struct call;

/* POST sys/audit-hash/file */
bool handler_audit_hash(struct call *call, struct error *err);

#endif
