/* SPDX-License-Identifier: MIT
 *
 * runtime-catalog, the operator's tool: what its subcommands share. tool.c has their table,
 * tool_flags.c the flags, tool_io.c reads files and prints, and each subcommand has a file.
 */
#ifndef TOOL_H
#define TOOL_H

#include "error.h"
#include "operation.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db;

enum { TOOL_LIST_MAX = 64, TOOL_MOMENT = 48, TOOL_COLUMNS_MAX = 8 };

/* The values of a flag that may be given several times. */
struct tool_list {
    char *items[TOOL_LIST_MAX];
    size_t count;
};

/* The flags of all subcommands; which of them a subcommand takes stands in tool.c's table.
 * Texts are argv's; NULL: not given. Times are in seconds, 0: not given. */
struct tool_flags {
    const char *config;       /* -config: file to take the database from */
    const char *migrations;   /* -migrations: directory */
    int64_t wait;             /* -wait: for locks */
    const char *namespace;    /* -namespace, with its slash at the end; "": the root */
    const char *field;        /* -field: print the value of this one alone */
    bool json;                /* -format=json */
    struct tool_list policies; /* -policy: names, or files for policy test */

    const char *display_name; /* -display-name */
    struct tool_list metadata;    /* -metadata: key=value */
    struct tool_list bound_cidrs; /* -bound-cidr */
    int64_t ttl, explicit_max_ttl, period;
    int64_t use_limit;        /* 0: none */
    const char *accessor;     /* -accessor */
    bool orphan;              /* -mode=orphan */

    const char *max_runtimes; /* -max-runtimes: digits or "none" */
    struct tool_list custom_metadata; /* -custom-metadata: key=value */
    struct tool_list removed_metadata; /* -remove-custom-metadata */

    const char *cases;        /* -cases: file */
    enum operation operation; /* -operation; OPERATION_NONE: not given */
    const char *path;         /* -path */
    json_t *data;             /* -data, an object; ours */
    int64_t wrap_ttl;

    const char *table;        /* -table */
    const char *name;         /* -name */
    const char *role;         /* -role */
    const char *request_id;   /* -request-id */
    char since[TOOL_MOMENT], until[TOOL_MOMENT]; /* as struct history_filter has them; "": not given */
    int64_t limit;            /* -limit; 0: none */
    bool in_namespace;        /* -namespace was given */

    bool help, version;
    uint64_t given; /* bit n: flag n of tool_flags.c's table */
};

/* Takes the flags, with one dash or two, -flag=value or -flag value, from wherever they stand
 * up to a "--". What is left moves to the front of argv, with a NULL behind it; returns how
 * many that are, or -1 with *err, which names the flag. */
int tool_flags_parse(struct tool_flags *flags, char *argv[], struct error *err);
void tool_flags_fini(struct tool_flags *flags);

/* A flag that was given and is not among names, " name name ", or NULL. */
const char *tool_flags_stray(const struct tool_flags *flags, const char *names);

/* Checks of a subcommand's flags and arguments beyond what its row says, before anything is
 * opened; the names of policies come out as they are stored. False with *err: wrong usage. */
typedef bool tool_check(struct tool_flags *flags, char *const arguments[], struct error *err);
tool_check tool_token_issue_check, tool_token_which_check, tool_policy_test_check;
tool_check tool_namespace_check, tool_history_check;

/* Each runs one subcommand: true, or false with *err; false without one where the answer itself
 * is no. arguments ends in NULL. db is NULL for those that need none. */
typedef bool tool_run(struct db *db, const struct tool_flags *flags, char *const arguments[],
                      struct error *err);
tool_run tool_migrate, tool_status;
tool_run tool_token_issue, tool_token_lookup, tool_token_revoke, tool_token_list;
tool_run tool_audit_hash;
tool_run tool_policy_write, tool_policy_read, tool_policy_list, tool_policy_delete;
tool_run tool_policy_test;
tool_run tool_namespace_create, tool_namespace_list, tool_namespace_read;
tool_run tool_namespace_update, tool_namespace_delete;
tool_run tool_history;

/* The part of policy test that answers the cases of a file (tool_policy_cases.c). False with
 * *err, which holds nothing beforehand. */
bool tool_policy_cases(const char *path, struct error *err);

enum { TOOL_SECRET_MAX = 8192 };

/* A line that nobody else may see, from standard input for "-", else the argument itself, which
 * is blanked, so that a list of processes shows it no longer than it takes to get here. */
bool tool_read_secret(char out[static TOOL_SECRET_MAX], char *argument, struct error *err);

/* All of a file, or of standard input for "-", with a NUL behind it. Ours, free(); NULL with
 * *err, also if it is longer than max bytes. */
char *tool_read(const char *path, size_t max, size_t *length, struct error *err);

/* Prints an object as Vault's tool prints one: a field alone, JSON, or a table of two columns. */
bool tool_print(const json_t *object, const struct tool_flags *flags, struct error *err);

/* Prints an array of objects: JSON, or a table with a column for each key. */
struct tool_column {
    const char *title, *key;
};
bool tool_print_rows(const json_t *rows, const struct tool_column columns[], size_t count,
                     const struct tool_flags *flags, struct error *err);

/* Prints one page of many below the ones before: a table's heading once, its columns never
 * narrower than they were. */
struct tool_paging {
    bool begun;
    int widths[TOOL_COLUMNS_MAX];
};
bool tool_print_page(const json_t *rows, const struct tool_column columns[], size_t count,
                     struct tool_paging *paging, struct error *err);

bool tool_print_json(const json_t *value, struct error *err);

/* Tells of something on standard error that is no failure. */
void tool_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
