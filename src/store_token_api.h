/* SPDX-License-Identifier: MIT
 *
 * Tokens as their holders reach them, over the API: always through a credential, never beyond
 * its namespace. What the operator's tool does stands in store_token.h.
 */
#ifndef STORE_TOKEN_API_H
#define STORE_TOKEN_API_H

#include "error.h"
#include "secret.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct arena;
struct caller;
struct credential;
struct db;
struct object;

/* Loads for route.c's table: the caller, and as *object the caller's own token as
 * store_token_api_describe tells it, or the accessors of the namespace's tokens. type and name
 * are not looked at. False: the storage failed, with *err. */
bool store_token_api_load_self(struct db *db, const struct credential *credential,
                               const char *type, const char *name, struct arena *arena,
                               struct caller *caller, struct object *object, struct error *err)
    __attribute__((warn_unused_result));
bool store_token_api_load_accessors(struct db *db, const struct credential *credential,
                                    const char *type, const char *name, struct arena *arena,
                                    struct caller *caller, struct object *object, struct error *err)
    __attribute__((warn_unused_result));

/* Which token is meant: by the token itself, by its accessor, or, both NULL, the caller's. */
struct token_target {
    const char *token;
    const char *accessor;
};

/* *description: what Vault's lookup says of the token, null for keys that it has not; NULL:
 * there is none that the caller reaches. Ours. False with *err: ERROR_PERMISSION_DENIED if the
 * caller's own token went meanwhile; so it is below. */
bool store_token_api_describe(struct db *db, const struct credential *credential,
                              const struct token_target *target, json_t **description,
                              struct error *err) __attribute__((warn_unused_result));

/* *policies: [[name, text or null], …] of a token; NULL: there is none that the caller reaches.
 * Ours. */
bool store_token_api_policies(struct db *db, const struct credential *credential,
                              const struct token_target *target, json_t **policies,
                              struct error *err) __attribute__((warn_unused_result));

/* *missing: those of names, an array, that the caller's namespace has no policy of, built-in
 * ones aside. Ours. */
bool store_token_api_missing_policies(struct db *db, const struct credential *credential,
                                      const json_t *names, json_t **missing, struct error *err)
    __attribute__((warn_unused_result));

/* A token to be created. Times in seconds, 0: none. */
struct token_plan {
    json_t *policies; /* array of names as they are stored */
    json_t *meta;     /* object of strings; NULL: none */
    const char *path; /* by which it is created */
    const char *display_name;
    bool orphan, renewable;
    int64_t ttl, explicit_max_ttl, period;
    int64_t num_uses; /* 0: any number */
};

/* Creates a token, a child of the caller's unless it is to be an orphan. */
bool store_token_api_create(struct db *db, const struct credential *credential,
                            const struct token_plan *plan, char token[static SECRET_TOKEN_TEXT + 1],
                            char accessor[static SECRET_ACCESSOR_TEXT + 1], struct error *err)
    __attribute__((warn_unused_result));

enum renewal_outcome {
    RENEWAL_DONE = 0,
    RENEWAL_UNKNOWN,       /* no such token that the caller reaches */
    RENEWAL_NO_LEASE,      /* it never ends */
    RENEWAL_EXPIRED,
    RENEWAL_NOT_RENEWABLE,
    RENEWAL_PAST_MAX,      /* it has lived as long as it may */
};

struct renewal {
    enum renewal_outcome outcome;
    int64_t ttl;    /* seconds that it has now */
    int64_t wanted; /* what was asked for, or what it was issued for */
    int64_t bound;  /* its longest life; 0: none */
};

/* Renews for increment seconds (0: what the token was issued for), within max_ttl. */
bool store_token_api_renew(struct db *db, const struct credential *credential,
                           const struct token_target *target, int64_t increment,
                           int64_t max_ttl, struct renewal *renewal, struct error *err)
    __attribute__((warn_unused_result));

/* Ends a token and its children, or leaves those as orphans. *found: whether there was one. */
bool store_token_api_revoke(struct db *db, const struct credential *credential,
                            const struct token_target *target, bool keep_children, bool *found,
                            struct error *err) __attribute__((warn_unused_result));

/* Deletes up to batch tokens of the caller's namespace that have ended. *count: how many. */
bool store_token_api_tidy(struct db *db, const struct credential *credential, unsigned batch,
                          unsigned *count, struct error *err) __attribute__((warn_unused_result));

/* The same of all namespaces, for the worker itself. */
bool store_token_api_tidy_all(struct db *db, unsigned batch, unsigned *count, struct error *err)
    __attribute__((warn_unused_result));

#endif
