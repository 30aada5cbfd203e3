/* SPDX-License-Identifier: MIT
 *
 * What stands in an audit record: the keys, their order and what is hashed are those of Vault's
 * audit log (audit/types.go). Tokens, accessors and every string of what a client sent and was
 * answered are hashed; names, numbers and booleans are not, and nor are the texts that say what
 * was asked for: path, error, headers, names of policies. What was sent without a token that is
 * known is left out.
 */
#ifndef AUDIT_RECORD_H
#define AUDIT_RECORD_H

#include <stdbool.h>

struct call;
struct error;
struct json_text;
struct secret_hmac;

struct audit_style {
    struct secret_hmac *hmac;
    bool hmac_accessor;        /* accessors are hashed where they stand for a token */
    bool elide_list_responses; /* of an answer's lists their lengths are recorded */
};

/* The objects of a record. A call may be one that was refused at any station. allowed: whether it
 * was let in; done: whether the response is what is answered, and not an error. */
void audit_record_auth(struct json_text *out, const struct audit_style *style,
                       const struct call *call, bool allowed);
void audit_record_request(struct json_text *out, const struct audit_style *style,
                          const struct call *call);
void audit_record_response(struct json_text *out, const struct audit_style *style,
                           const struct call *call, bool done);

/* Adds the time, now, as a member. */
void audit_record_time(struct json_text *out);

#endif
