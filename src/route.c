/* SPDX-License-Identifier: MIT */
#include "route.h"

#include "arena.h"
#include "handler_runtime.h"
#include "store_runtime.h"
#include "text.h"

#include <string.h>

#define CATALOG "sys/plugins/runtimes/catalog"

static const struct route routes[] = {
    {
        .path = CATALOG "/{type}/{name}",
        .mount_type = "system",
        .operations =
            {
                [OPERATION_READ] = {handler_runtime_read, store_runtime_load},
                [OPERATION_UPDATE] = {handler_runtime_register, NULL},
                [OPERATION_DELETE] = {handler_runtime_delete, store_runtime_load_plugins},
            },
    },
    {
        .path = CATALOG,
        .optional_slash = true,
        .mount_type = "system",
        .operations =
            {
                [OPERATION_READ] = {handler_runtime_list, store_runtime_load_list},
                [OPERATION_LIST] = {handler_runtime_list, store_runtime_load_list},
            },
    },
};

/* Paths that need sudo, relative to the namespace: exact, or a prefix that ends in '*'. As
 * the root paths of vault/logical_system_paths.go, and the catalog itself, which the API's
 * page protects and Vault forgets. */
static const char *const sudo_paths[] = {
    CATALOG,
    CATALOG "/*",
};

static bool needs_sudo(const char *path)
{
    for (size_t i = 0; i < sizeof sudo_paths / sizeof *sudo_paths; i++) {
        size_t length = strlen(sudo_paths[i]) - 1;
        bool prefix = sudo_paths[i][length] == '*';
        if (prefix ? strncmp(path, sudo_paths[i], length) == 0
                   : strcmp(path, sudo_paths[i]) == 0)
            return true;
    }
    return false;
}

/* Vault's pattern for names, \w(([\w-.]+)?\w)?, in ASCII. */
static bool is_name(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        bool at_end = i == 0 || i == length - 1;
        if (!text_is_word(text[i]) && (at_end || (text[i] != '-' && text[i] != '.')))
            return false;
    }
    return length > 0;
}

static bool is_type(const char *text, size_t length)
{
    return length == strlen("container") && strncmp(text, "container", length) == 0;
}

static bool capture(const char **out, const char *text, size_t length, struct arena *arena,
                    struct error *err)
{
    *out = arena_strndup(arena, text, length);
    return *out || error_exhausted(err);
}

/* Whether path has route's pattern. Names are captured as they are met, so after a mismatch
 * the match may hold some; nobody reads them without a route. */
static bool fits(const struct route *route, const char *path, struct match *match,
                 struct arena *arena, struct error *err)
{
    const char *pattern = route->path;

    while (*pattern) {
        size_t expected = strcspn(pattern, "/"), given = strcspn(path, "/");
        if (text_starts_with(pattern, "{type}")) {
            if (!is_type(path, given) || !capture(&match->type, path, given, arena, err))
                return false;
        } else if (text_starts_with(pattern, "{name}")) {
            if (!is_name(path, given) || !capture(&match->name, path, given, arena, err))
                return false;
        } else if (expected != given || strncmp(pattern, path, given) != 0) {
            return false;
        }
        pattern += expected;
        path += given;
        if (*pattern == '/' && *path == '/') {
            pattern++;
            path++;
        } else if (*pattern) {
            return false;
        }
    }
    return !*path || (route->optional_slash && strcmp(path, "/") == 0);
}

bool route_find(struct match *match, const char *path, enum operation operation,
                struct arena *arena, struct error *err)
{
    *match = (struct match){.operation = operation, .sudo = needs_sudo(path)};
    err->code = ERROR_NONE;
    for (size_t i = 0; i < sizeof routes / sizeof *routes && !match->route; i++) {
        if (fits(&routes[i], path, match, arena, err))
            match->route = &routes[i];
        else if (err->code != ERROR_NONE)
            return false;
    }
    return true;
}

const struct route_operation *route_check(const struct match *match, const char *path,
                                          struct error *err)
{
    static const char item[] = CATALOG "/";
    const struct route *route = match->route;

    if (!route) {
        bool bad_type = text_starts_with(path, item) &&
                        !is_type(path + strlen(item), strcspn(path + strlen(item), "/"));
        error_set(err, ERROR_NOT_FOUND, "unsupported path%s",
                  bad_type ? ": the plugin runtime type must be \"container\"" : "");
        return NULL;
    }
    if (!route->operations[match->operation].handler) {
        error_set(err, ERROR_UNSUPPORTED_OPERATION, "unsupported operation");
        return NULL;
    }
    return &route->operations[match->operation];
}
