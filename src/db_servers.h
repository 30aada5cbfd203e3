/* SPDX-License-Identifier: MIT
 *
 * Where PostgreSQL is: the servers that a connection string names, one after the other, and which
 * of them will do. libpq would walk over the list by itself, but then one that does not answer has
 * all the time that there is. For db.c and db_connection.c alone.
 */
#ifndef DB_SERVERS_H
#define DB_SERVERS_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

struct db_server { /* as libpq takes them; NULL: not given */
    const char *host, *hostaddr, *port;
};

enum db_fit {
    DB_FIT_NOT = 0,
    DB_FIT_POORLY, /* if there is none that fits well */
    DB_FIT_WELL,
};

struct db_servers {
    char *connection_url;
    struct db_server *items; /* at least one, in the order of the list */
    size_t count;
    enum db_fit writable, read_only; /* target_session_attrs, for the two kinds of a session */
    char *hosts, *hostaddrs, *ports; /* what the items point into */
};

/* Reads a connection string, with what the environment and a service file add to it. False with
 * *err: ERROR_MISCONFIGURED, which names a keyword that libpq does not know and shows no value. On
 * success due to db_servers_fini. */
bool db_servers_init(struct db_servers *servers, const char *connection_url, struct error *err)
    __attribute__((warn_unused_result));
void db_servers_fini(struct db_servers *servers);

#endif
