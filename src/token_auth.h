/* SPDX-License-Identifier: MIT
 *
 * What the endpoints of tokens have in common: the `auth` of an answer, and how long a token
 * lives. Pure.
 */
#ifndef TOKEN_AUTH_H
#define TOKEN_AUTH_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct response;

enum { TOKEN_TTL_MAX = 768 * 3600 }; /* seconds; Vault's default and maximum, in one */

enum { TOKEN_DISPLAY_NAME_MAX = 4096 + 1 }; /* with its NUL */

/* A display name as Vault makes it from what was asked for: "token-", letters, digits and
 * hyphens; "token" if nothing was. False: too long. */
bool token_display_name(char out[static TOKEN_DISPLAY_NAME_MAX], const char *name)
    __attribute__((warn_unused_result));

/* Whether a token may have as much: policies, an array, and meta (NULL: none). Constraints of the
 * table, again, for what PostgreSQL would log: it shows the row that it refuses, hash and all. */
bool token_check_sizes(const json_t *policies, const json_t *meta, struct error *err)
    __attribute__((warn_unused_result));

struct token_auth_facts {
    const char *client_token; /* "" where the client did not show it */
    const char *accessor;
    json_t *policies;
    json_t *meta; /* NULL: none */
    int64_t ttl;  /* seconds */
    bool renewable, orphan;
    int64_t num_uses;
};

/* `auth` in Vault's order of keys. New; NULL: out of memory. */
json_t *token_auth(const struct token_auth_facts *facts) __attribute__((warn_unused_result));

/* A time to live, and what it was cut from; seconds. */
struct token_term {
    int64_t ttl;
    int64_t wanted, bound; /* wanted > bound: cut */
    bool is_period;        /* what was cut is a period */
};

/* CalculateTTL of sdk/framework/lease.go for a token that starts now; 0: not given. */
struct token_term token_auth_term(int64_t ttl, int64_t period, int64_t explicit_max_ttl);

/* Vault's warning if it was cut. False: out of memory, with *err. */
bool token_auth_warn_capped(struct response *response, const struct token_term *term,
                            struct error *err) __attribute__((warn_unused_result));

#endif
