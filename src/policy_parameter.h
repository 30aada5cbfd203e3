/* SPDX-License-Identifier: MIT
 *
 * A rule's word on what was sent: required_parameters, denied_parameters,
 * allowed_parameters. Part of policy.c's work, in a file of its own; pure, allocates
 * nothing.
 */
#ifndef POLICY_PARAMETER_H
#define POLICY_PARAMETER_H

#include <jansson.h>
#include <stdbool.h>

struct policy_rule;

/* Whether the rule lets a request pass that sent these data: an object, or NULL for none.
 * Values from the URL must not be among them. */
bool policy_parameter_allows(const struct policy_rule *rule, const json_t *data);

#endif
