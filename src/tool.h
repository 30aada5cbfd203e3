/* SPDX-License-Identifier: MIT
 *
 * runtime-catalog, the operator's tool: what its subcommands share.
 */
#ifndef TOOL_H
#define TOOL_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct db;

enum { TOOL_POLICIES_MAX = 64 };

/* The flags of all subcommands; which of them a subcommand takes stands in tool.c's table. */
struct tool_flags {
    const char *config;       /* -config: file to take the database from */
    const char *migrations;   /* -migrations: directory */
    const char *namespace;    /* -namespace, with its slash at the end; "": the root */
    const char *display_name; /* -display-name */
    const char *ttl;          /* -ttl, as given; NULL: none */
    const char *field;        /* -field: print the value of this one alone */
    bool json;                /* -format=json */
    const char *policies[TOOL_POLICIES_MAX]; /* -policy, each time */
    size_t policies_count;
};

/* Each runs one subcommand: true, or false with *err. arguments ends in NULL. */
bool tool_migrate(struct db *db, const struct tool_flags *flags, char *const arguments[],
                  struct error *err);
bool tool_status(struct db *db, const struct tool_flags *flags, char *const arguments[],
                 struct error *err);
bool tool_token_issue(struct db *db, const struct tool_flags *flags, char *const arguments[],
                      struct error *err);
bool tool_policy_write(struct db *db, const struct tool_flags *flags, char *const arguments[],
                       struct error *err);

/* Prints an object as Vault's tool prints one: a field alone, JSON, or a table of two columns. */
bool tool_print(const json_t *object, const struct tool_flags *flags, struct error *err);

#endif
