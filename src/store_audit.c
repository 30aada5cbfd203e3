/* SPDX-License-Identifier: MIT */
#include "store_audit.h"

#include "db.h"
#include "secret.h"
#include "text.h"

struct secret_hmac *store_audit_hmac(struct db *db, struct error *err)
{
    static const struct db_statement statement = {
        .name = "audit_salt",
        .sql = "SELECT runtime_catalog.audit_salt()",
    };
    struct db_result *result = db_execute(db, &statement, NULL, err);

    if (!result)
        return NULL;
    const char *salt = db_result_text(result, 0, 0);
    struct secret_hmac *hmac = salt ? secret_hmac_new(salt) : NULL;
    if (!hmac) {
        error_set(err, ERROR_INTERNAL, "internal error");
        text_format(err->detail, sizeof err->detail, "%s",
                    salt ? "libcrypto failed" : "the table audit_salt has no row");
    }
    db_result_free(result);
    return hmac;
}
