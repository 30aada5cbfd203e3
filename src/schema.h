/* SPDX-License-Identifier: MIT
 *
 * The schema's version: what this program needs, what the database has, and the migrations
 * between the two.
 */
#ifndef SCHEMA_H
#define SCHEMA_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>

struct db;

enum { SCHEMA_VERSION = 21 }; /* the newest migration that this program was written for */

/* Whether this program works on the database's schema. False with *err: ERROR_MISCONFIGURED
 * if the schema is too old or too new for it, or a trigger of it is missing or disabled. */
bool schema_check(struct db *db, struct error *err) __attribute__((warn_unused_result));

/* What health says of the database. */
enum schema_state {
    SCHEMA_GOOD = 0,
    SCHEMA_STANDBY, /* in recovery: it answers, and takes no writes */
    SCHEMA_READ_ONLY, /* likewise, for who administers it has said so */
    SCHEMA_AWAY,
    SCHEMA_UNFIT,   /* what schema_check refuses */
};

enum schema_state schema_health(struct db *db);
const char *schema_state_name(enum schema_state state); /* "available", "standby", … */

enum migration_state {
    MIGRATION_APPLIED = 0, /* has run, from this very file */
    MIGRATION_PENDING,     /* a file that has not run */
    MIGRATION_EDITED,      /* has run, from a file that was different */
    MIGRATION_UNKNOWN,     /* has run, and there is no such file here */
};

struct migration {
    int version;
    char *name;       /* the file's name without its number and .sql */
    char *path;       /* of the file; NULL: none */
    char *text;       /* of the file; NULL: none */
    char *oldest_worker; /* that it serves; NULL: has not run */
    char *applied_at;    /* ISO 8601; likewise */
    char *applied_by;    /* likewise */
    bool unsigned_row; /* has run by psql, so that the checksum is not stored yet */
    char checksum[65]; /* of the file */
    enum migration_state state;
};

struct migrations {
    struct migration *items; /* by version, ascending */
    size_t count;
};

const char *migration_state_name(enum migration_state state);

/* Reads a directory of NNNN_name.sql and compares it with the database. False with *err. */
bool schema_list(struct migrations *migrations, struct db *db, const char *directory,
                 struct error *err) __attribute__((warn_unused_result));
void schema_list_fini(struct migrations *migrations);

/* Runs what the file held when it was listed, in the transaction that it brings, and stores its
 * checksum; or only stores the checksum of one that psql ran. Somebody else having just run it
 * is success. False with *err and nothing done; ERROR_STORAGE_AWAY where another attempt may
 * succeed, as when a lock was not to be had in time. */
bool schema_apply(struct db *db, const struct migration *migration, struct error *err)
    __attribute__((warn_unused_result));

#endif
