/* SPDX-License-Identifier: MIT
 *
 * The text of one policy → its rules, checked. Part of policy.c's work, in a file of its
 * own.
 */
#ifndef POLICY_PARSE_H
#define POLICY_PARSE_H

#include "error.h"
#include "policy.h"

#include <stdbool.h>

struct policy_rules;

/* Appends the rules of a policy to *rules, in the order of the text, none united. False
 * with *err as policy_compile has it; rules appended until then stay, for the caller to
 * free. */
bool policy_parse(const struct policy_source *source, struct policy_rules *rules,
                  struct error *err) __attribute__((warn_unused_result));

#endif
