/* SPDX-License-Identifier: MIT
 *
 * The socket that requests arrive on: made at an address, or passed by a service manager or by
 * spawn-fcgi(1). Whoever connects is looked at (peer.h) before anything is read.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include "error.h"
#include "peer.h"

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

struct listener {
    int fd;
    struct peers peers;
    struct own {
        char path[sizeof((struct sockaddr_un *)0)->sun_path]; /* "": the socket was passed */
        dev_t device;
        ino_t inode;
    } own; /* the socket that we made */
};

struct listener_options {
    const char *address;    /* "unix:/path"; NULL: the socket is passed */
    mode_t mode;            /* of a socket that is made */
    const char *peer_users; /* who may connect, as peers_init() has it */
};

/* A socket that the service manager passed comes before the address, and file descriptor 0
 * after it. False with *err: there is none, or none could be made. */
bool listener_open(struct listener *listener, const struct listener_options *options,
                   struct error *err) __attribute__((warn_unused_result));

/* Whether that could succeed, as far as it can be told without making anything. False with
 * *err. */
bool listener_check(const struct listener_options *options, struct error *err)
    __attribute__((warn_unused_result));

/* The next connection of a peer that may connect; does not wait for it. -1 with errno. */
int listener_accept(const struct listener *listener);

/* Whether a connection waits to be accepted. */
bool listener_has_backlog(const struct listener *listener);

/* Whether the socket is shared with other processes: it was passed. */
bool listener_is_shared(const struct listener *listener);

/* Takes the path from the socket that we made, unless somebody else's is there by now: nobody
 * comes any more. */
void listener_remove_path(const struct listener *listener);

void listener_close(struct listener *listener);

#endif
