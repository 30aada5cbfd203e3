/* SPDX-License-Identifier: MIT
 *
 * What the answer to a poll is worth. Pure: no clock, no I/O; lease.c asks and acts.
 *
 * Changes are followed from snapshot to snapshot, by the numbers of transactions. That holds as
 * long as it is one server that answers: after a crash or a fail-over numbers come again. A
 * server is known by its start, and by its backends, which do not survive a crash of others; a
 * pooler may show any number of them.
 */
#ifndef LEASE_RULES_H
#define LEASE_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LEASE_CHANGES_MAX = 10000, /* that one answer names */
    LEASE_GAP_MS = 60 * 1000,  /* between two answers */
    LEASE_BACKENDS_MAX = 64,   /* that are told apart */
    LEASE_NAME_MAX = 64,       /* bytes of a server's or backend's name, with its NUL */
};

struct lease_answer {
    int64_t asked_us;     /* when it was asked, by a clock that counts suspended time too */
    const char *snapshot; /* what it was answered from; NULL: the server has none */
    const char *server;   /* the start of the server, as it says it; NULL: hidden */
    const char *backend;  /* number and start of the process that answered; NULL: hidden */
    bool in_recovery;
    size_t changes; /* how many it names */
};

enum lease_verdict {
    LEASE_FOLLOW = 0,  /* drop what it names: the rest is still true */
    LEASE_FORGET,      /* drop everything: true is what is read from now on */
    LEASE_STANDBY,     /* nothing may be remembered: a server in recovery lists nobody who writes */
    LEASE_UNSUPPORTED, /* nothing may be remembered: the server does not say enough */
};

struct lease_rules {
    char *snapshot;      /* of the last answer that was good; NULL: none. Ours */
    int64_t answered_us; /* when that was asked */
    char server[LEASE_NAME_MAX];
    char backends[LEASE_BACKENDS_MAX][LEASE_NAME_MAX]; /* of that server, that have answered */
    size_t backend_count;
};

void lease_rules_init(struct lease_rules *rules);
void lease_rules_fini(struct lease_rules *rules);

/* The snapshot since which changes are to be asked for at this moment; NULL: none, everything
 * will have to be dropped. Borrowed until the next lease_rules_judge. */
const char *lease_rules_since(const struct lease_rules *rules, int64_t now_us);

/* Judges the answer to what lease_rules_since said for its moment, and remembers it. */
enum lease_verdict lease_rules_judge(struct lease_rules *rules,
                                     const struct lease_answer *answer);

#endif
