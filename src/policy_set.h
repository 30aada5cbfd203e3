/* SPDX-License-Identifier: MIT
 *
 * The policies that a token names, as one: the built-in ones among them, and those that do not
 * exist (yet), which grant nothing. Immutable once made.
 */
#ifndef POLICY_SET_H
#define POLICY_SET_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct policy;
struct policy_sources;
struct policy_set; /* opaque */

/* Compiles policies, [[name, text or null], …]; NULL or null: none. One that does not compile is
 * no failure here but has its say in policy_set_compiled. NULL with *err: out of memory. Ours:
 * policy_set_free. */
struct policy_set *policy_set_new(const json_t *policies, struct error *err)
    __attribute__((warn_unused_result));
void policy_set_free(struct policy_set *set); /* NULL is fine */

/* Whether they are the built-in one that allows everything, and that alone. */
bool policy_set_is_root(const struct policy_set *set);

/* What they allow together. NULL with *err, ERROR_INTERNAL: one of them does not compile, and what
 * it would deny is not known; accessor, of the token, is for the log. */
const struct policy *policy_set_compiled(const struct policy_set *set, const char *accessor,
                                         struct error *err) __attribute__((warn_unused_result));
bool policy_set_is_good(const struct policy_set *set); /* whether there is no such fault */

/* Their names, in their order. */
size_t policy_set_count(const struct policy_set *set);
const char *policy_set_name(const struct policy_set *set, size_t i);

/* Whether number i is among grantors, of a struct policy_decision of policy_set_compiled. Of
 * what root allows root is. */
bool policy_set_grants(const struct policy_set *set, size_t i,
                       const struct policy_sources *grantors);

/* Bytes that it takes, about. */
size_t policy_set_size(const struct policy_set *set);

#endif
