/* SPDX-License-Identifier: MIT */
#include "schema.h"
#include "tool.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    WAIT = 60, /* seconds, unless -wait says otherwise */
    PAUSE = 1, /* likewise, between two attempts: others go on meanwhile */
};

/* Nothing runs unless the files and the database agree about what has run. What the database has
 * is what the DBA has read, file by file, and its order. */
static bool check_files(const struct migrations *migrations, const char *directory,
                        struct error *err)
{
    const struct migration *before = NULL;

    for (size_t i = 0; i < migrations->count; before = &migrations->items[i++]) {
        const struct migration *migration = &migrations->items[i];
        if (migration->state == MIGRATION_EDITED)
            return error_set(err, ERROR_MISCONFIGURED, "%s was edited after it ran",
                             migration->path);
        if (migration->state == MIGRATION_UNKNOWN)
            return error_set(err, ERROR_MISCONFIGURED,
                             "%04d_%s has run and is not among the files in %s", migration->version,
                             migration->name, directory);
        if (migration->version != (before ? before->version : 0) + 1)
            return error_set(err, ERROR_MISCONFIGURED,
                             "%s: the number before it is missing, or has two files",
                             migration->path);
        if (before && before->state == MIGRATION_PENDING && migration->state == MIGRATION_APPLIED)
            return error_set(err, ERROR_MISCONFIGURED, "%s has run without %s", migration->path,
                             before->path);
    }
    return true;
}

/* A lock that is not to be had in time is asked for again, until the deadline. */
static bool apply(struct db *db, const struct migration *migration, time_t deadline,
                  struct error *err)
{
    while (!schema_apply(db, migration, err)) {
        if (err->code != ERROR_STORAGE_AWAY || time(NULL) >= deadline)
            return false;
        tool_warn("%s: %s; trying again", err->text, err->detail);
        sleep(PAUSE);
    }
    return true;
}

bool tool_migrate(struct db *db, const struct tool_flags *flags, char *const arguments[],
                  struct error *err)
{
    time_t deadline = time(NULL) + (flags->wait > 0 ? flags->wait : WAIT);
    struct migrations migrations;
    unsigned ran = 0;

    (void)arguments;
    bool good = schema_list(&migrations, db, flags->migrations, err) &&
                check_files(&migrations, flags->migrations, err);
    for (size_t i = 0; good && i < migrations.count; i++) {
        const struct migration *migration = &migrations.items[i];
        if (migration->state != MIGRATION_PENDING && !migration->unsigned_row)
            continue;
        good = apply(db, migration, deadline, err);
        if (good && migration->state == MIGRATION_PENDING) {
            printf("Applied %04d_%s\n", migration->version, migration->name);
            ran++;
        }
    }
    if (good && ran == 0)
        puts("Nothing to do: the schema is current.");
    schema_list_fini(&migrations);
    return good;
}
