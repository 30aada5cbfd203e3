/* SPDX-License-Identifier: MIT
 *
 * What a request wants to do, in Vault's words, whatever HTTP method said so.
 */
#ifndef OPERATION_H
#define OPERATION_H

#include <stdbool.h>

enum operation {
    OPERATION_NONE = 0, /* OPTIONS and HEAD: no handler has it, only root may learn that */
    OPERATION_READ,
    OPERATION_LIST,
    OPERATION_CREATE,
    OPERATION_UPDATE,
    OPERATION_DELETE,
    OPERATION_PATCH,
    OPERATION_RECOVER,
    OPERATION_HELP,
    OPERATION_REVOKE,
    OPERATION_RENEW,
    OPERATION_ROLLBACK,
    OPERATION_MAX
};

/* "read", "list", …; "none" for OPERATION_NONE. */
const char *operation_name(enum operation operation);

/* The operation of that name. False, and *out untouched, for any other. */
bool operation_parse(const char *name, enum operation *out);

#endif
