/* SPDX-License-Identifier: MIT
 *
 * A rule's word on what was sent: required_parameters, denied_parameters,
 * allowed_parameters. Part of policy.c's work, in a file of its own; pure, allocates
 * nothing.
 */
#ifndef POLICY_PARAMETER_H
#define POLICY_PARAMETER_H

#include "policy.h"

struct policy_rule;

/* POLICY_GRANTED if the rule lets a request pass that sent these data: an object, or NULL for
 * none. Values from the URL must not be among them. Otherwise one of POLICY_PARAMETER_…, and
 * *parameter is as in struct policy_decision. */
enum policy_reason policy_parameter_decide(const struct policy_rule *rule,
                                           const json_t *data, const char **parameter);

#endif
