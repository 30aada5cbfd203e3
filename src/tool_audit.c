/* SPDX-License-Identifier: MIT */
#include "secret.h"
#include "store_audit.h"
#include "tool.h"

#include <stdio.h>
#include <string.h>

bool tool_audit_hash(struct db *db, const struct tool_flags *flags, char *const arguments[],
                     struct error *err)
{
    char input[TOOL_SECRET_MAX], text[SECRET_HMAC_TEXT + 1];

    (void)flags;
    if (!tool_read_secret(input, arguments[0], err))
        return false;
    struct secret_hmac *hmac = store_audit_hmac(db, err);
    bool hashed = hmac && (secret_hmac_text(hmac, text, input, strlen(input)) ||
                           error_set(err, ERROR_INTERNAL, "libcrypto failed"));
    secret_hmac_free(hmac);
    secret_wipe(input, sizeof input);
    return hashed && puts(text) >= 0;
}
