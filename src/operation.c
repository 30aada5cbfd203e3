/* SPDX-License-Identifier: MIT */
#include "operation.h"

#include <string.h>

static const char *const names[OPERATION_MAX] = {
    [OPERATION_NONE] = "none",     [OPERATION_READ] = "read",
    [OPERATION_LIST] = "list",     [OPERATION_CREATE] = "create",
    [OPERATION_UPDATE] = "update", [OPERATION_DELETE] = "delete",
    [OPERATION_PATCH] = "patch",   [OPERATION_RECOVER] = "recover",
    [OPERATION_HELP] = "help",     [OPERATION_REVOKE] = "revoke",
    [OPERATION_RENEW] = "renew",   [OPERATION_ROLLBACK] = "rollback",
};

const char *operation_name(enum operation operation)
{
    return names[operation];
}

bool operation_parse(const char *name, enum operation *out)
{
    for (int i = OPERATION_READ; i < OPERATION_MAX; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (enum operation)i;
            return true;
        }
    }
    return false;
}
