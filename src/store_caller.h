/* SPDX-License-Identifier: MIT
 *
 * Who asks, as PostgreSQL has it: what every statement of the worker begins with, and what it
 * then knows of the caller. Tokens themselves: store_token.h, store_token_api.h.
 */
#ifndef STORE_CALLER_H
#define STORE_CALLER_H

#include "db.h"
#include "error.h"
#include "secret.h"

#include <jansson.h>
#include <stdbool.h>

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
bool store_caller_load(struct db *db, const struct credential *credential, struct arena *arena,
                       struct caller *caller, struct error *err) __attribute__((warn_unused_result));

/* For the stores: the columns that every loading statement begins with, to be followed by
 * `, (…) AS object` and store_token_from. */
#define STORE_CALLER_SELECT                                                                   \
    "SELECT caller.accessor,"                                                                \
    "       caller.token_namespace,"                                                         \
    "       caller.namespace_id IS NOT NULL AS namespace_exists,"                            \
    "       caller.address_allowed,"                                                         \
    "       caller.policies"
#define STORE_CALLER_FROM                                                                     \
    "  FROM runtime_catalog.authenticate($1, $2, $3, $4::inet, $5, $6::boolean) AS caller"

/* Runs a statement of that shape. *object becomes the JSON of its last column, or NULL if that
 * is null; ours. */
bool store_caller_load_with(struct db *db, const struct db_statement *statement,
                            const struct db_parameter parameters[], struct arena *arena,
                            struct caller *caller, json_t **object, struct error *err)
    __attribute__((warn_unused_result));

#endif
