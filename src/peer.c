/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include "text.h"

#include <errno.h>
#include <pwd.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    GROUPS_MAX = 4096, /* of a peer; who has more is in none */
    QUIET_SECONDS = 10, /* between two lines about peers that were let go */
};

static bool find_user(const char *name, uid_t *user)
{
    bool is_number = *name && name[strspn(name, "0123456789")] == '\0';
    const struct passwd *entry = is_number ? NULL : getpwnam(name);

    *user = entry ? entry->pw_uid : (uid_t)strtoul(name, NULL, 10);
    return is_number || entry;
}

static bool find_users(struct peers *peers, const char *users, struct error *err)
{
    char names[1024], *rest = names;

    if (!text_format(names, sizeof names, "%s", users))
        return error_set(err, ERROR_MISCONFIGURED, "listener peer_users: too long");
    for (const char *name; (name = strtok_r(rest, " ", &rest));) {
        if (peers->count == PEER_USERS_MAX)
            return error_set(err, ERROR_MISCONFIGURED, "listener peer_users: %d at most",
                             PEER_USERS_MAX);
        if (!find_user(name, &peers->users[peers->count++]))
            return error_set(err, ERROR_MISCONFIGURED,
                             "listener peer_users: there is no user \"%s\"", name);
    }
    return true;
}

bool peers_init(struct peers *peers, const char *users, int listener, struct error *err)
{
    struct sockaddr_un address;
    socklen_t size = sizeof address;
    struct stat file;

    *peers = (struct peers){.count = 0};
    if (users)
        return find_users(peers, users, err);
    memset(&address, 0, sizeof address);
    peers->has_group = getsockname(listener, (struct sockaddr *)&address, &size) == 0 &&
                       address.sun_path[0] == '/' && stat(address.sun_path, &file) == 0;
    peers->group = peers->has_group ? file.st_gid : 0;
    return true;
}

static bool is_in_group(const struct ucred *peer, int connection, gid_t group)
{
    gid_t groups[GROUPS_MAX];
    socklen_t size = sizeof groups;

    if (peer->gid == group)
        return true;
    if (getsockopt(connection, SOL_SOCKET, SO_PEERGROUPS, groups, &size) != 0)
        return false;
    for (size_t i = 0; i < size / sizeof *groups; i++) {
        if (groups[i] == group)
            return true;
    }
    return false;
}

static bool is_one_of(const struct peers *peers, const struct ucred *peer, int connection)
{
    if (peer->uid == geteuid() || peer->uid == 0)
        return true;
    for (size_t i = 0; i < peers->count; i++) {
        if (peers->users[i] == peer->uid)
            return true;
    }
    return peers->has_group && is_in_group(peer, connection, peers->group);
}

/* Whoever is let go comes again: a line for the first, then one in QUIET_SECONDS. */
static void report(const struct ucred *peer)
{
    static _Atomic time_t quiet_until;
    static _Atomic unsigned unsaid;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    time_t until = atomic_load(&quiet_until);
    if (now.tv_sec < until ||
        !atomic_compare_exchange_strong(&quiet_until, &until, now.tv_sec + QUIET_SECONDS)) {
        atomic_fetch_add(&unsaid, 1);
        return;
    }
    log_warn("a peer may not connect to the socket: process %d of user %u, group %u; %u more "
             "since the last such line; see listener peer_users",
             (int)peer->pid, (unsigned)peer->uid, (unsigned)peer->gid,
             atomic_exchange(&unsaid, 0));
}

bool peers_allow(const struct peers *peers, int connection)
{
    struct ucred peer = {.pid = 0};
    socklen_t size = sizeof peer;

    if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return false;
    if (is_one_of(peers, &peer, connection))
        return true;
    report(&peer);
    return false;
}
