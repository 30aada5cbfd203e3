/* SPDX-License-Identifier: MIT
 *
 * Lists of policy names as tokens hold them: JSON arrays, in lower case, sorted, each name once.
 * Rules: sdk/helper/policyutil of Vault. Pure.
 */
#ifndef POLICY_NAMES_H
#define POLICY_NAMES_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>

/* A name as it is stored: without white space around it, in lower case (ASCII: others are
 * refused). Changes name in place and returns where it starts. */
char *policy_name_stored(char *name);

/* Whether a name, as it is stored, is one that policy_name_check allows, in its words. */
bool policy_name_check(const char *name, struct error *err) __attribute__((warn_unused_result));

/* Whether a name belongs to a policy that is built in and nobody may write, delete, or, but for
 * root, give to a token. */
bool policy_name_is_fixed(const char *name);

/* names, an array of strings, in that form: in lower case, without blanks around them, without
 * empty ones; root, if it is there, alone. New; NULL with *err. */
json_t *policy_names_clean(const json_t *names, struct error *err)
    __attribute__((warn_unused_result));

bool policy_names_have(const json_t *names, const char *name);
bool policy_names_contain(const json_t *names, const json_t *others); /* all of others */

/* A copy with or without `default`; root stays alone. New; NULL with *err. */
json_t *policy_names_with_default(const json_t *names, bool add, bool remove, struct error *err)
    __attribute__((warn_unused_result));

/* The first of names that no token may have; NULL: none. */
const char *policy_names_reserved(const json_t *names);

#endif
