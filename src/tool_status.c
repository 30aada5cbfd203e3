/* SPDX-License-Identifier: MIT */
#include "schema.h"
#include "tool.h"

static json_t *describe(const struct migration *migration)
{
    return json_pack("{s:i, s:s, s:s, s:s?, s:s?, s:s?}", "version", migration->version, "name",
                     migration->name, "state", migration_state_name(migration->state),
                     "oldest_worker", migration->oldest_worker, "applied_at",
                     migration->applied_at, "applied_by", migration->applied_by);
}

static bool print(const struct migrations *migrations, const struct tool_flags *flags,
                  struct error *err)
{
    static const struct tool_column columns[] = {
        {"Version", "version"},
        {"Name", "name"},
        {"State", "state"},
        {"Oldest worker", "oldest_worker"},
        {"Applied at", "applied_at"},
        {"By", "applied_by"},
    };
    json_auto_t *rows = json_array();

    for (size_t i = 0; i < migrations->count; i++)
        json_array_append_new(rows, describe(&migrations->items[i]));
    if (json_array_size(rows) != migrations->count)
        return error_exhausted(err);
    return tool_print_rows(rows, columns, sizeof columns / sizeof *columns, flags, err);
}

bool tool_status(struct db *db, const struct tool_flags *flags, char *const arguments[],
                 struct error *err)
{
    struct migrations migrations;
    bool good = schema_list(&migrations, db, flags->migrations, err) &&
                print(&migrations, flags, err);

    (void)arguments;
    for (size_t i = 0; good && i < migrations.count; i++) {
        if (migrations.items[i].state != MIGRATION_APPLIED)
            good = error_set(err, ERROR_MISCONFIGURED, "the schema and %s differ",
                             flags->migrations);
    }
    schema_list_fini(&migrations);
    return good;
}
