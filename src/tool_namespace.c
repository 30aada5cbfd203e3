/* SPDX-License-Identifier: MIT */
#include "store_namespace.h"
#include "tool.h"

#include <stdio.h>
#include <string.h>

/* One segment; a slash behind it is taken off, as in the answers it has one. */
bool tool_namespace_check(struct tool_flags *flags, char *const arguments[], struct error *err)
{
    char *name = arguments[0];
    size_t length = strcspn(name, "/");

    (void)flags;
    if (length == 0 || (name[length] != '\0' && name[length + 1] != '\0'))
        return error_set(err, ERROR_BAD_REQUEST,
                         "NAME: one segment; -namespace names the one above it");
    name[length] = '\0';
    return true;
}

/* The flags as settings; *metadata, which they borrow, is the caller's. */
static bool read_settings(const struct tool_flags *flags, json_t **metadata,
                          struct namespace_settings *settings, struct error *err)
{
    const struct tool_list *pairs = &flags->custom_metadata, *removed = &flags->removed_metadata;
    bool good = (*metadata = json_object()) != NULL;

    for (size_t i = 0; i < removed->count; i++)
        good = good && json_object_set_new(*metadata, removed->items[i], json_null()) == 0;
    for (size_t i = 0; i < pairs->count; i++) {
        const char *equals = strchr(pairs->items[i], '=');
        good = good && json_object_setn_new(*metadata, pairs->items[i],
                                            (size_t)(equals - pairs->items[i]),
                                            json_string(equals + 1)) == 0;
    }
    *settings = (struct namespace_settings){
        .max_runtimes = flags->max_runtimes,
        .metadata = pairs->count + removed->count > 0 ? *metadata : NULL,
    };
    return good || error_exhausted(err);
}

bool tool_namespace_create(struct db *db, const struct tool_flags *flags, char *const arguments[],
                           struct error *err)
{
    json_auto_t *metadata = NULL, *description = NULL;
    struct namespace_settings settings;

    return read_settings(flags, &metadata, &settings, err) &&
           store_namespace_create(db, flags->namespace, arguments[0], &settings, &description,
                                  err) &&
           tool_print(description, flags, err);
}

bool tool_namespace_update(struct db *db, const struct tool_flags *flags, char *const arguments[],
                           struct error *err)
{
    json_auto_t *metadata = NULL, *description = NULL;
    struct namespace_settings settings;

    return read_settings(flags, &metadata, &settings, err) &&
           store_namespace_update(db, flags->namespace, arguments[0], &settings, &description,
                                  err) &&
           tool_print(description, flags, err);
}

bool tool_namespace_read(struct db *db, const struct tool_flags *flags, char *const arguments[],
                         struct error *err)
{
    json_auto_t *description = NULL;

    return store_namespace_get(db, flags->namespace, arguments[0], &description, err) &&
           tool_print(description, flags, err);
}

bool tool_namespace_list(struct db *db, const struct tool_flags *flags, char *const arguments[],
                         struct error *err)
{
    static const struct tool_column columns[] = {
        {"Path", "path"},
        {"Runtimes", "runtimes"},
        {"Max runtimes", "max_runtimes"},
    };
    json_auto_t *rows = store_namespace_list(db, flags->namespace, err);

    (void)arguments;
    return rows &&
           tool_print_rows(rows, columns, sizeof columns / sizeof *columns, flags, err);
}

bool tool_namespace_delete(struct db *db, const struct tool_flags *flags, char *const arguments[],
                           struct error *err)
{
    if (!store_namespace_delete(db, flags->namespace, arguments[0], err))
        return false;
    printf("Success! Namespace deleted at: %s%s/\n", flags->namespace, arguments[0]);
    return true;
}
