/* SPDX-License-Identifier: MIT
 *
 * Policies: compiles the rules of one or several policies into one immutable object, and says
 * what it allows. Pure: no clock, no I/O, no globals; evaluation allocates nothing and may run
 * in any number of threads at once. The rules are those of Vault's ACL (vault/acl.go,
 * vault/policy.go), restated at each function of policy.c.
 *
 * Not for: finding a token's policies (authenticate.c), or which paths need sudo (route.c).
 */
#ifndef POLICY_H
#define POLICY_H

#include "error.h"
#include "operation.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Capabilities, as bits of a set. */
enum capability {
    CAPABILITY_DENY = 1 << 0,
    CAPABILITY_CREATE = 1 << 1,
    CAPABILITY_READ = 1 << 2,
    CAPABILITY_UPDATE = 1 << 3,
    CAPABILITY_DELETE = 1 << 4,
    CAPABILITY_LIST = 1 << 5,
    CAPABILITY_SUDO = 1 << 6,
    CAPABILITY_PATCH = 1 << 7,
    CAPABILITY_RECOVER = 1 << 8,
    CAPABILITY_SUBSCRIBE = 1 << 9,
};

enum { CAPABILITIES = 10 };

struct policy_source {
    const char *name; /* for messages */
    const char *text; /* HCL or JSON */
    size_t length;    /* bytes of text */
};

struct policy; /* compiled; immutable */

/* Compiles sources[count] (count may be 0: allows nothing) into one policy. Returns NULL with
 * *err if any does not parse or asks for something that is not known: ERROR_BAD_REQUEST, the
 * text worded as Vault words it after `failed to parse policy: ` (which is the caller's to put
 * in front) and complete: a place that belongs to it stands in it. err->line and err->column
 * tell the place apart from that, where known; err->detail names the source. What Vault reads
 * but nobody here enforces, control_group and mfa_methods, is refused: a restriction is never
 * dropped in silence. Ours: policy_free. */
struct policy *policy_compile(const struct policy_source sources[], size_t count,
                              struct error *err) __attribute__((warn_unused_result));
void policy_free(struct policy *policy); /* NULL is fine */
size_t policy_size(const struct policy *policy); /* bytes that it takes, about */

/* Turns what policy_compile refused into the text for whoever wrote it: Vault's words, and the place
 * in brackets behind them where they do not have it. Always returns false. */
bool policy_refuse(struct error *err);

/* Whether a text is a policy as Vault's community edition reads one: what policy_compile checks,
 * and a control_group or mfa_methods that is well-formed passes, because Vault only reads them.
 * False with *err as above. Not enough to store or to follow it: that takes policy_compile. */
bool policy_check(const struct policy_source *source, struct error *err)
    __attribute__((warn_unused_result));

struct policy_request {
    enum operation operation;
    const char *path;     /* what follows /v1/, relative to the token's namespace; a list's
                             path ends with a slash */
    const json_t *data;   /* what the client sent (query of a read, body of a write), an object;
                             NULL: nothing. Borrowed */
    int64_t wrap_ttl;     /* seconds; 0: the response is not to be wrapped. A rule's bounds on it
                             hold for every operation */
};

/* Which of policy_compile's sources a rule comes from. */
struct policy_origin {
    size_t source;         /* its number */
    unsigned capabilities; /* what it says there: a set of enum capability */
};

struct policy_sources {
    const struct policy_origin *origins; /* the policy's; one source may have several */
    size_t count;
    unsigned capabilities; /* only those count that have one of these; 0: all do */
};

/* Whether sources[number] is among them. */
bool policy_sources_have(const struct policy_sources *sources, size_t number);

/* What decided. */
enum policy_reason {
    POLICY_GRANTED = 0,
    POLICY_NO_RULE,              /* no rule's path matches */
    POLICY_NO_CAPABILITY,        /* the rule lacks the operation's capability, or denies */
    POLICY_WRAPPING,             /* min_wrapping_ttl, max_wrapping_ttl */
    POLICY_PARAMETER_REQUIRED,   /* required_parameters: one was not sent */
    POLICY_PARAMETER_DENIED,     /* denied_parameters: one was sent */
    POLICY_PARAMETER_NOT_ALLOWED /* allowed_parameters: one was sent that they do not have */
};

struct policy_decision {
    bool allowed; /* the selected rule grants the operation's capability and no parameter
                     rule refuses what was sent: the reason is POLICY_GRANTED */
    bool sudo;    /* the selected rule holds sudo, even when allowed is false */
    enum policy_reason reason;
    const char *parameter; /* which one, with the last three reasons; NULL: any. The policy's
                              or the request's */
    struct policy_sources grantors; /* allowed: those that grant the capability on the selected
                                       rule's path; else none */
};

/* The decision for one request. No rule matches: neither allowed nor sudo. */
struct policy_decision policy_evaluate(const struct policy *policy,
                                       const struct policy_request *request);

/* The rule that decides, for people. */
struct policy_explanation {
    const char *path;      /* its pattern, without a leading slash and the '*' at its end;
                              the policy's */
    bool glob;             /* whether it ends in that '*' */
    unsigned capabilities; /* a set of enum capability */
    struct policy_sources sources; /* those that have it */
};

/* Which rule policy_evaluate selects. False: none matches. */
bool policy_explain(const struct policy *policy, const struct policy_request *request,
                    struct policy_explanation *out);

/* The capabilities that the policy has on a path, as sys/capabilities tells them: a set of
 * enum capability; CAPABILITY_DENY alone when nothing matches or the rule denies. */
unsigned policy_capabilities(const struct policy *policy, const char *path);

/* "deny", "create", …, for one bit. */
const char *capability_name(enum capability capability);

#endif
