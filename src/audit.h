/* SPDX-License-Identifier: MIT
 *
 * The audit log: a record before anything is done for a request and one before its answer
 * leaves, each a line of a file. What cannot be recorded is not done, and not answered.
 *
 * As in Vault, health and the other paths that nobody needs a token for are not recorded.
 */
#ifndef AUDIT_H
#define AUDIT_H

#include "error.h"
#include "json_text.h"

#include <stdbool.h>
#include <sys/types.h>

struct audit; /* opaque */
struct call;

struct audit_options {
    const char *file_path; /* copied */
    mode_t mode;           /* of a file that is made */
    bool hmac_accessor, elide_list_responses; /* as in struct audit_style */
};

/* Opens the file. NULL with *err. Ours: audit_close, once no thread uses it. */
struct audit *audit_open(const struct audit_options *options, struct error *err)
    __attribute__((warn_unused_result));
void audit_close(struct audit *audit); /* NULL is fine */

/* Whether audit_open would succeed, as far as one can tell without making a file. NULL is fine. */
bool audit_check(const char *file_path, struct error *err) __attribute__((warn_unused_result));

/* Goes on in the file that is at the path now. False with *err, and it stays the old one. NULL is
 * fine. */
bool audit_reopen(struct audit *audit, struct error *err) __attribute__((warn_unused_result));

/* What the two records of a request have in common, from the one to the other. */
struct audit_pair {
    struct json_text auth, request; /* empty: nothing is to be recorded */
    bool broken; /* the first could not be written, and *err says so: there is no second */
};

/* Records the request before it is handled: with *err if it is not admitted. Returns whether it
 * may be handled: it is admitted and on record. False with *err. audit NULL: nothing is
 * recorded. */
bool audit_request(struct audit *audit, struct audit_pair *pair, const struct call *call,
                   bool admitted, struct error *err) __attribute__((warn_unused_result));

/* Records the answer before it is sent: the response if the request is done, else *err. Returns
 * whether it is done and on record; false with *err. Due after each audit_request. */
bool audit_response(struct audit *audit, struct audit_pair *pair, const struct call *call,
                    bool done, struct error *err) __attribute__((warn_unused_result));

#endif
