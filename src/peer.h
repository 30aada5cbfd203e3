/* SPDX-License-Identifier: MIT
 *
 * Who may connect to the worker's socket. The worker believes a peer about the client's address
 * and the site's namespace, so the mode of the socket's file is not all that guards it: the
 * kernel says who connects (SO_PEERCRED in unix(7)), and who is neither named nor in the
 * socket's group is let go, whatever the mode has become.
 */
#ifndef PEER_H
#define PEER_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { PEER_USERS_MAX = 16 };

/* The worker's own user and root always may. */
struct peers {
    uid_t users[PEER_USERS_MAX]; /* count of them, by name */
    size_t count;
    bool has_group; /* nobody is named: members of group */
    gid_t group;
};

/* users: names or numbers separated by blanks; NULL: the members of the group that the file of
 * the listening socket has, nobody else if it has none. False with *err: there is no such
 * user, or there are too many. */
bool peers_init(struct peers *peers, const char *users, int listener, struct error *err)
    __attribute__((warn_unused_result));

/* Whether the peer of a connection is one of them. The log says who was not, once in a while. */
bool peers_allow(const struct peers *peers, int connection) __attribute__((warn_unused_result));

#endif
