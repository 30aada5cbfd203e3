/* SPDX-License-Identifier: MIT */
#include "schema.h"
#include "tool.h"

#include <stdio.h>

/* An edited file is refused before anything runs: what the database has is not what the DBA
 * would read. */
static bool check_edited(const struct migrations *migrations, struct error *err)
{
    for (size_t i = 0; i < migrations->count; i++) {
        if (migrations->items[i].state == MIGRATION_EDITED)
            return error_set(err, ERROR_MISCONFIGURED, "%s was edited after it ran",
                             migrations->items[i].path);
    }
    return true;
}

bool tool_migrate(struct db *db, const struct tool_flags *flags, char *const arguments[],
                  struct error *err)
{
    struct migrations migrations;
    unsigned ran = 0;

    (void)arguments;
    bool good = schema_list(&migrations, db, flags->migrations, err) &&
                check_edited(&migrations, err);
    for (size_t i = 0; good && i < migrations.count; i++) {
        const struct migration *migration = &migrations.items[i];
        if (migration->state != MIGRATION_PENDING && !migration->unsigned_row)
            continue;
        good = schema_apply(db, migration, err);
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
