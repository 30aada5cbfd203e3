/* SPDX-License-Identifier: MIT
 *
 * The salt of the hashes in audit logs, one for all workers of a database.
 */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include "error.h"

struct db;
struct secret_hmac;

/* What hashes with the salt. New: secret_hmac_free. NULL with *err. */
struct secret_hmac *store_audit_hmac(struct db *db, struct error *err)
    __attribute__((warn_unused_result));

#endif
