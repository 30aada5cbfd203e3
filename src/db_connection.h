/* SPDX-License-Identifier: MIT
 *
 * One connection to one PostgreSQL server: making it, finding out who answers, and one statement
 * after the other. Every wait has a bound and runs over poll(2), so that no answer of PostgreSQL's,
 * and no missing one, holds a thread for longer. For db.c alone, which knows what an answer means.
 */
#ifndef DB_CONNECTION_H
#define DB_CONNECTION_H

#include "db.h"
#include "db_servers.h"

#include <libpq-fe.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONNECTION_PREPARED_MAX = 128 };

/* Whether prepared statements stay with a connection. Behind a pooler that shares its own between
 * transactions they do not. What is not known is taken for no. */
enum keeping {
    KEEPING_UNKNOWN = 0,
    KEEPING_YES,
    KEEPING_NO,
};

struct connection {
    struct connection *next; /* db.c's, as is generation */
    uint64_t generation;
    PGconn *pg;
    size_t server; /* of the list */
    bool poor;     /* db.c's: there may be a better one */

    /* Who answered, when the connection was made. */
    bool read_only, in_recovery; /* the second implies the first */
    bool pooled;
    enum keeping keeping;
    char system[24];   /* the cluster's identifier; "": not known */
    unsigned timeline; /* a promotion begins a new one; 0: not known */

    const struct db_statement *prepared[CONNECTION_PREPARED_MAX];
    size_t prepared_count;
    bool timed_out;   /* a statement got no answer in time */
    bool completed;   /* the last one's own part was done: what failed after it is the COMMIT */
    bool unconfirmed; /* the last one's COMMIT is not known to have reached a standby */
};

/* Milliseconds of a clock that nobody sets. Deadlines are moments of it; 0: none. */
int64_t connection_clock(void);

/* Connects to one of the servers, and begins the session that the options want. keeping: what is
 * known of it, or KEEPING_UNKNOWN and it is found out, which takes a second connection for a moment
 * if there is a pooler. NULL with *err, ERROR_STORAGE_AWAY. Ours: connection_close. */
struct connection *connection_open(const struct db_servers *servers, size_t server,
                                   const struct db_options *options, enum keeping keeping,
                                   int64_t deadline, struct error *err)
    __attribute__((warn_unused_result));
void connection_close(struct connection *connection); /* NULL is fine */

/* Whether one that sat idle is as it was left. Bytes or an end that arrived meanwhile mean that the
 * server let it go: found out before a statement is sent, so nothing is in doubt. */
bool connection_is_fresh(const struct connection *connection);

/* Whether one that was used can be used again. */
bool connection_is_idle(const struct connection *connection);

/* Runs a statement, or a script. Its result, which may be a refusal, is the caller's to PQclear.
 * NULL with *err, ERROR_STORAGE_AWAY: no answer came, and the connection is of no use any more. */
PGresult *connection_execute(struct connection *connection, const struct db_statement *statement,
                             const struct db_parameter parameters[], int64_t deadline,
                             struct error *err) __attribute__((warn_unused_result));
PGresult *connection_script(struct connection *connection, const char *sql, int64_t deadline,
                            struct error *err) __attribute__((warn_unused_result));

/* Whether it is a refusal. */
bool connection_was_refused(const PGresult *result);

/* For the log: "PostgreSQL 15.18 at db1:5432, timeline 3". */
void connection_describe(const struct connection *connection, char *out, size_t size);

#endif
