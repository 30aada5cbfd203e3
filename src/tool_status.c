/* SPDX-License-Identifier: MIT */
#include "schema.h"
#include "tool.h"

#include <stdio.h>

static json_t *describe(const struct migration *migration)
{
    return json_pack("{s:i, s:s, s:s, s:s?, s:s?}", "version", migration->version, "name",
                     migration->name, "state", migration_state_name(migration->state),
                     "applied_at", migration->applied_at, "applied_by", migration->applied_by);
}

static bool print_json(const struct migrations *migrations, struct error *err)
{
    json_auto_t *rows = json_array();

    for (size_t i = 0; i < migrations->count; i++)
        json_array_append_new(rows, describe(&migrations->items[i]));
    if (json_array_size(rows) != migrations->count)
        return error_exhausted(err);
    return json_dumpf(rows, stdout, JSON_INDENT(2)) == 0 && putchar('\n') == '\n';
}

static void print_rows(const struct migrations *migrations)
{
    printf("%-8s %-20s %-8s %-21s %s\n", "Version", "Name", "State", "Applied at", "By");
    for (size_t i = 0; i < migrations->count; i++) {
        const struct migration *migration = &migrations->items[i];
        printf("%-8d %-20s %-8s %-21s %s\n", migration->version, migration->name,
               migration_state_name(migration->state),
               migration->applied_at ? migration->applied_at : "-",
               migration->applied_by ? migration->applied_by : "-");
    }
}

bool tool_status(struct db *db, const struct tool_flags *flags, char *const arguments[],
                 struct error *err)
{
    struct migrations migrations;
    bool good = schema_list(&migrations, db, flags->migrations, err);

    (void)arguments;
    if (good && flags->json)
        good = print_json(&migrations, err);
    else if (good)
        print_rows(&migrations);
    for (size_t i = 0; good && i < migrations.count; i++) {
        if (migrations.items[i].state != MIGRATION_APPLIED)
            good = error_set(err, ERROR_MISCONFIGURED, "the schema and %s differ",
                             flags->migrations);
    }
    schema_list_fini(&migrations);
    return good;
}
