/* SPDX-License-Identifier: MIT
 *
 * Who changed what, newest first, page by page: the memory that it takes does not grow
 * with the history.
 */
#include "store_history.h"
#include "tool.h"

#include <stdio.h>
#include <string.h>

static const char *const tables[] = {"namespace", "runtime", "plugin",
                                     "policy",    "token",   "change"};

bool tool_history_check(struct tool_flags *flags, char *const arguments[],
                        struct error *err)
{
    bool known = !flags->table;

    (void)arguments;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        known = known || strcmp(flags->table, tables[i]) == 0;
    return known ||
           error_set(err, ERROR_BAD_REQUEST,
                     "-table: namespace, runtime, plugin, policy, token or change");
}

/* An array of a line an object: what comes of a history can be searched line by line,
 * too. */
static void print_json_page(const json_t *rows, bool first)
{
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
        printf("%s%s", first && i == 0 ? "[\n" : ",\n",
               json_string_value(json_object_get(row, "json")));
}

static bool print_page(const json_t *rows, const struct tool_flags *flags,
                       struct tool_paging *paging, struct error *err)
{
    static const struct tool_column columns[] = {
        {"Time", "changed_at"},          {"Who", "who"},
        {"Namespace", "namespace_path"}, {"What", "object"},
        {"Operation", "operation"},      {"Request ID", "request_id"},
        {"Changes", "changes"},
    };

    if (!flags->json)
        return tool_print_page(rows, columns, sizeof columns / sizeof *columns, paging,
                               err);
    print_json_page(rows, !paging->begun);
    paging->begun = paging->begun || json_array_size(rows) > 0;
    return true;
}

static size_t next_count(const struct tool_flags *flags, int64_t printed)
{
    int64_t left = flags->limit - printed;

    return flags->limit == 0 || left > STORE_HISTORY_PAGE ? STORE_HISTORY_PAGE
                                                          : (size_t)left;
}

bool tool_history(struct db *db, const struct tool_flags *flags, char *const arguments[],
                  struct error *err)
{
    const struct history_filter filter = {
        .table = flags->table,
        .name = flags->name,
        .namespace_path = flags->in_namespace ? flags->namespace : NULL,
        .accessor = flags->accessor,
        .role = flags->role,
        .request_id = flags->request_id,
        .since = *flags->since ? flags->since : NULL,
        .until = *flags->until ? flags->until : NULL,
    };
    struct history_place place = {.before = 0};
    struct tool_paging paging = {.begun = false};
    int64_t printed = 0;
    size_t count;
    bool good = true, more = true;

    (void)arguments;
    while (good && more && !ferror(stdout) && (count = next_count(flags, printed)) > 0) {
        json_auto_t *rows =
            store_history_page(db, &filter, count, flags->json, &place, err);
        printed += (int64_t)json_array_size(rows);
        more = json_array_size(rows) == count;
        good = rows && print_page(rows, flags, &paging, err);
    }
    store_history_fini(&place);
    if (good && flags->json)
        puts(paging.begun ? "\n]" : "[]");
    return good;
}
