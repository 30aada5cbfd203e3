/* SPDX-License-Identifier: MIT
 *
 * The policy `default`, which new tokens get unless they are told not to. Writing a policy of
 * that name puts another in its place, in that namespace.
 */
#ifndef POLICY_DEFAULT_H
#define POLICY_DEFAULT_H

/* What Vault's own grants: a token may see, renew and end itself, and use what belongs to it. */
extern const char policy_default_text[];

#endif
