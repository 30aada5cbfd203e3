/* SPDX-License-Identifier: MIT
 *
 * What a refusal of PostgreSQL's means: one table from its constraint or SQLSTATE to the
 * error that the client gets, and to what may be tried first. For db.c alone.
 */
#ifndef DB_REFUSAL_H
#define DB_REFUSAL_H

#include "error.h"

#include <libpq-fe.h>

#include <stdbool.h>

/* What may be done about a refusal before the caller hears of it. */
enum remedy {
    REMEDY_NONE = 0,
    REMEDY_RETRY,      /* the same once more, after a moment */
    REMEDY_RECONNECT,  /* likewise, with new connections only */
    REMEDY_UNPREPARED, /* likewise, and nothing is prepared any more */
};

/* Reads a result that is a refusal (connection_was_refused) into *err: for the client by
 * the table, for the log SQLSTATE and primary message. completed: the statement's own
 * part was done, so that it is the COMMIT that failed. Returns what may be done, which is
 * nothing where it is not certain that nothing was committed. */
enum remedy db_refusal_read(const PGresult *result, bool completed, struct error *err);

/* Where there is no result: storage that is away or, by the code, read-only; the detail
 * is for the log. Returns false. */
bool db_refusal_set(struct error *err, enum error_code code, const char *detail);

#endif
