/* SPDX-License-Identifier: MIT
 *
 * Tokens in PostgreSQL: who holds one; issuing, looking up, revoking.
 */
#ifndef STORE_TOKEN_H
#define STORE_TOKEN_H

#include "db.h"
#include "error.h"
#include "secret.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct arena;

/* What a request shows for itself. Every statement of the worker begins with these, as the
 * arguments of runtime_catalog.authenticate(): $1 to $6. */
struct credential {
    unsigned char hash[SECRET_HASH_SIZE]; /* of the token */
    const char *site;                     /* struct request's members, borrowed */
    const char *named;
    const char *address;
    const char *request_id;
    bool is_free; /* the path is open, so that asking costs none of the token's uses */
};

enum { CREDENTIAL_PARAMETERS = 6 };

/* Fills parameters[CREDENTIAL_PARAMETERS] for a statement; spend: whether it takes one of the
 * token's uses, which the first statement of a request does. Values are borrowed. */
void credential_parameters(struct db_parameter parameters[static CREDENTIAL_PARAMETERS],
                           const struct credential *credential, bool spend);

/* Who asks: what the database said of the credential. Strings live in the arena. */
struct caller {
    bool known;                  /* false: no such token, or no longer; nothing else is set */
    bool address_allowed;        /* false: bound to other networks; nothing else is set */
    bool namespace_exists;       /* the namespace asked for, as far as the token reaches */
    const char *accessor;
    const char *token_namespace; /* path of the token's namespace */
    json_t *policies;            /* [[name, text or null], …]; ours */
    const char *below;           /* authorise(): the request's namespace, relative to the token's */
    bool sudo;                   /* authorise(): the rule for the path holds sudo */
};

void caller_fini(struct caller *caller);

/* Loads the caller and nothing else: for routes that need no object beforehand. False: the
 * storage failed, with *err. A caller who is not known is no failure. */
bool store_token_load(struct db *db, const struct credential *credential, struct arena *arena,
                      struct caller *caller, struct error *err) __attribute__((warn_unused_result));

/* For the stores: the columns that every loading statement begins with, to be followed by
 * `, (…) AS object` and store_token_from. */
#define STORE_TOKEN_SELECT                                                                   \
    "SELECT caller.accessor,"                                                                \
    "       caller.token_namespace,"                                                         \
    "       caller.namespace_id IS NOT NULL AS namespace_exists,"                            \
    "       caller.address_allowed,"                                                         \
    "       caller.policies"
#define STORE_TOKEN_FROM                                                                     \
    "  FROM runtime_catalog.authenticate($1, $2, $3, $4::inet, $5, $6::boolean) AS caller"

/* Runs a statement of that shape. *object becomes the JSON of its last column, or NULL if that
 * is null; ours. */
bool store_token_load_with(struct db *db, const struct db_statement *statement,
                           const struct db_parameter parameters[], struct arena *arena,
                           struct caller *caller, json_t **object, struct error *err)
    __attribute__((warn_unused_result));

/* A token to be issued. Times are in seconds. */
struct token_issue {
    const char *namespace_path; /* "" or "team-a/" */
    const json_t *policies;     /* array of names as they are stored */
    const char *display_name;   /* as it is stored */
    const json_t *meta;         /* object of strings; NULL: none */
    const json_t *bound_cidrs;  /* array of networks as text; NULL: any */
    int64_t ttl;                /* 0: never expires */
    int64_t explicit_max_ttl;   /* 0: none */
    int64_t period;             /* 0: not periodic */
    int64_t num_uses;           /* 0: any number */
};

/* Issues a token: makes it, stores its hash. *missing becomes the names among its policies that
 * do not exist (yet), an array, new. False with *err: ERROR_NOT_FOUND if there is no such
 * namespace. */
bool store_token_issue(struct db *db, const struct token_issue *issue,
                       char token[static SECRET_TOKEN_TEXT + 1],
                       char accessor[static SECRET_ACCESSOR_TEXT + 1], json_t **missing,
                       struct error *err) __attribute__((warn_unused_result));

/* The accessor of a token. False with *err: ERROR_NOT_FOUND if there is no such token. */
bool store_token_find(struct db *db, const char *token,
                      char accessor[static SECRET_ACCESSOR_TEXT + 1], struct error *err)
    __attribute__((warn_unused_result));

/* What is known of a token, with the keys of Vault's auth/token/lookup as far as they exist
 * here, and its parent's accessor. New; NULL with *err: ERROR_NOT_FOUND if there is no such
 * token, or no longer: it or one that it ends with has expired or was used up. */
json_t *store_token_lookup(struct db *db, const char *accessor, struct error *err)
    __attribute__((warn_unused_result));

/* The same of each token of a namespace, an array, oldest first. New; NULL with *err:
 * ERROR_NOT_FOUND if there is no such namespace. */
json_t *store_token_list(struct db *db, const char *namespace_path, struct error *err)
    __attribute__((warn_unused_result));

/* Deletes a token and what ends with it; with orphan its children stay, as orphans, unless it
 * has expired and they with it. False with *err: ERROR_NOT_FOUND if there is no such token. */
bool store_token_revoke(struct db *db, const char *accessor, bool orphan, struct error *err)
    __attribute__((warn_unused_result));

#endif
