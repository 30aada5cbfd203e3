/* SPDX-License-Identifier: MIT
 *
 * Tokens in PostgreSQL: issuing, looking up, revoking. Who holds one: store_caller.h.
 */
#ifndef STORE_TOKEN_H
#define STORE_TOKEN_H

#include "error.h"
#include "secret.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct db;

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
