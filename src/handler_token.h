/* SPDX-License-Identifier: MIT
 *
 * Handlers of auth/token/: what a token issues, and what becomes of tokens. Rules and texts are
 * those of vault/token_store.go.
 */
#ifndef HANDLER_TOKEN_H
#define HANDLER_TOKEN_H

#include "error.h"

#include <stdbool.h>

struct call;

/* 200 with auth. The caller's own token is what the route loaded. */
bool handler_token_create(struct call *call, struct error *err);
bool handler_token_create_orphan(struct call *call, struct error *err);
bool handler_token_create_for_role(struct call *call, struct error *err);

/* 200 with what is known of a token. */
bool handler_token_lookup_self(struct call *call, struct error *err);
bool handler_token_lookup(struct call *call, struct error *err);
bool handler_token_lookup_accessor(struct call *call, struct error *err);

/* 200 with auth. */
bool handler_token_renew_self(struct call *call, struct error *err);
bool handler_token_renew(struct call *call, struct error *err);
bool handler_token_renew_accessor(struct call *call, struct error *err);

/* 204. */
bool handler_token_revoke_self(struct call *call, struct error *err);
bool handler_token_revoke(struct call *call, struct error *err);
bool handler_token_revoke_orphan(struct call *call, struct error *err);
bool handler_token_revoke_accessor(struct call *call, struct error *err);

/* 200 with keys, or 404 if there are none. */
bool handler_token_list_accessors(struct call *call, struct error *err);

/* 202: deletes tokens that have ended. */
bool handler_token_tidy(struct call *call, struct error *err);

#endif
