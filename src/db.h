/* SPDX-License-Identifier: MIT
 *
 * PostgreSQL: a pool of connections, statements with parameters, errors classed by SQLSTATE
 * and constraint name. What a statement means is the stores' business; libpq is used here and in
 * db_connection.c and db_servers.c alone.
 *
 * Where the connection string names several servers, all connections are to one of them: the first
 * that takes writes, as target_session_attrs has it. While there is none, and unless that is asked
 * for, one that takes none serves what only reads; a better one is looked for once a second. A
 * server that was replaced by a promotion is not gone back to, even if it takes writes.
 *
 * Any number of threads may use one `struct db` at once. A connection that broke is replaced
 * on its own: while PostgreSQL is away callers are told so at once, and one of them at a time
 * tries again, RETRY_MS after the last attempt. After a statement that got no answer in time
 * one caller finds out with a new connection whether PostgreSQL hangs, and the others wait for
 * what it finds. Nobody waits without end, and of those who wait for a connection while none
 * comes free all but max_waiting are told at once: their threads have other answers to give.
 */
#ifndef DB_H
#define DB_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;        /* opaque */
struct db_result; /* opaque */

enum { DB_PARAMETERS_MAX = 20 };

struct db_options {
    const char *connection_url;   /* a libpq connection string or URI; copied. May hold a
                                     password, so it never appears in an error or a log */
    const char *application_name; /* what pg_stat_activity shows; copied */
    const char *session;          /* a query of one row that each connection begins with; NULL: none;
                                     static. Not behind a pooler that shares sessions */
    unsigned max_connections;     /* at least 1 */
    unsigned connect_ms;          /* bound of making a connection, whichever server it is to */
    unsigned pool_ms;             /* bound of waiting for a free connection */
    unsigned statement_ms;        /* bound of one statement; 0: none (migrations) */
    unsigned max_waiting;         /* callers who may wait for a free connection while none comes */
    bool quiet;                   /* another pool tells the log who answers, and that nobody does */
};

/* A statement, prepared once on each connection where those last longer than a transaction, which
 * they do not behind some poolers. Static and constant: its address is its identity, its name what
 * pg_prepared_statements shows. */
struct db_statement {
    const char *name;
    const char *sql;
    unsigned parameters; /* $1 … $n, n ≤ DB_PARAMETERS_MAX */
};

/* One parameter: text with a NUL (size 0), or bytes for a bytea (size > 0). A NULL value is
 * SQL's null. Borrowed. */
struct db_parameter {
    const char *value;
    size_t size;
};

/* Makes a pool without connecting. NULL: no memory, or the connection string is not fit, with
 * *err (ERROR_MISCONFIGURED). Ours: db_close, once no thread uses it. */
struct db *db_open(const struct db_options *options, struct error *err)
    __attribute__((warn_unused_result));
void db_close(struct db *db); /* NULL is fine */

/* One bound more, for everything that the calling thread asks of any database within the next
 * ms milliseconds and after them; 0: none again. */
void db_set_deadline(unsigned ms);

/* Runs a statement in a transaction of its own: one round trip. Where PostgreSQL certainly rolled
 * it back, for a reason that passes, it is tried a few times more; the table in db_refusal.c says which.
 * Returns its rows, ours to db_result_free, or NULL with *err:
 *   ERROR_STORAGE_AWAY       no connection, or it broke. A write may or may not have happened
 *   ERROR_STORAGE_READ_ONLY  the server takes no writes: nothing happened
 *   what the table says for a constraint that was violated
 *   ERROR_INTERNAL           anything else
 * err->detail says more, for the log. */
struct db_result *db_execute(struct db *db, const struct db_statement *statement,
                             const struct db_parameter parameters[], struct error *err)
    __attribute__((warn_unused_result));

/* Several statements that all see one moment, in a transaction that only reads. It has a connection
 * for itself until it is closed. */
struct db_snapshot; /* opaque */

/* Begins one; the moment is that of its first statement. NULL with *err as above. Ours:
 * db_snapshot_close. */
struct db_snapshot *db_snapshot_open(struct db *db, struct error *err)
    __attribute__((warn_unused_result));

/* As db_execute, but tried once. After an error nothing is left but to close it. */
struct db_result *db_snapshot_execute(struct db_snapshot *snapshot,
                                      const struct db_statement *statement,
                                      const struct db_parameter parameters[], struct error *err)
    __attribute__((warn_unused_result));

void db_snapshot_close(struct db_snapshot *snapshot); /* NULL is fine */

/* Runs a script of several statements without parameters, in PostgreSQL's simple protocol, once:
 * for migrations. False with *err as above. */
bool db_script(struct db *db, const char *sql, struct error *err)
    __attribute__((warn_unused_result));

struct db_counts {
    unsigned connections, busy; /* those there are, with one that is being made; not idle of them */
    unsigned waiting;           /* callers who wait for one */
    uint64_t waited;            /* how often one had to */
    uint64_t errors;            /* statements that got no answer, or an internal error */
};

/* What the pool does, and has done. */
void db_count(struct db *db, struct db_counts *out);

size_t db_result_rows(const struct db_result *result);

/* The text of a column, borrowed from the result; NULL for SQL's null. Row and column count
 * from 0 and must exist. */
const char *db_result_text(const struct db_result *result, size_t row, unsigned column);

/* Whether a boolean column is true; null is not. */
bool db_result_true(const struct db_result *result, size_t row, unsigned column);

void db_result_free(struct db_result *result); /* NULL is fine */

#endif
