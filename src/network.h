/* SPDX-License-Identifier: MIT
 *
 * Networks that a token is bound to, as PostgreSQL's cidr[] shows them. Pure.
 */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdbool.h>

/* Whether an address lies in one of the networks of a list, {10.0.0.0/8,2001:db8::/32}. False for
 * what is no address (NULL is none), for a list of nothing, and for what cannot be read. */
bool network_list_has(const char *list, const char *address);

#endif
