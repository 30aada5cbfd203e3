/* SPDX-License-Identifier: MIT */
#include "namespace_path.h"

#include "arena.h"
#include "text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

/* Also in namespace_reserved_check. */
static const char *const reserved[] = {"root", "sys", "audit", "auth", "cubbyhole", "identity"};

static bool is_valid(const char *path, size_t length)
{
    bool good = length < NAMESPACE_PATH_MAX;

    for (size_t i = 0; good && i < length; i++) {
        char c = path[i];
        bool first = i == 0 || path[i - 1] == '/';
        good = text_is_word(c) || c == '-' || (!first && (c == '.' || c == '/'));
    }
    return good;
}

const char *namespace_path_read(const char *what, enum error_code code, const char *text,
                                struct arena *arena, struct error *err)
{
    size_t start = strspn(text, "/");
    size_t length = strlen(text + start);

    if (length == 0)
        return "";
    while (length > 0 && text[start + length - 1] == '/')
        length--;
    if (!is_valid(text + start, length)) {
        error_set(err, code,
                  "%s: segments of letters, digits, '_', '-' and '.', %d bytes at most", what,
                  NAMESPACE_PATH_MAX);
        return NULL;
    }
    const char *path =
        arena_format(arena, "%.*s%s", (int)length, text + start, length > 0 ? "/" : "");
    if (!path)
        error_exhausted(err);
    return path;
}

static bool is_reserved(const char *segment, size_t length)
{
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++) {
        if (strlen(reserved[i]) == length && strncmp(segment, reserved[i], length) == 0)
            return true;
    }
    return false;
}

bool namespace_name_check(const char *above, const char *name, struct error *err)
{
    size_t length = strlen(name);

    if (length == 0 || strchr(name, '/') || !is_valid(name, length) ||
        strlen(above) + length >= NAMESPACE_PATH_MAX)
        return error_set(err, ERROR_BAD_REQUEST,
                         "namespace: letters, digits, '_', '-' and '.', which is not the first, "
                         "%d bytes of path at most", NAMESPACE_PATH_MAX);
    return !is_reserved(name, length) ||
           error_set(err, ERROR_BAD_REQUEST,
                     "root, sys, audit, auth, cubbyhole and identity are reserved paths and "
                     "cannot be used as namespace names");
}

size_t namespace_path_length(const char *path)
{
    for (const char *segment = path; *segment;) {
        size_t length = strcspn(segment, "/");
        if (is_reserved(segment, length))
            return (size_t)(segment - path);
        segment += length + (segment[length] == '/');
    }
    return 0;
}

/* sql/migrations/0011_namespaces.sql says why. */
void namespace_path_label(char out[static NAMESPACE_LABEL_SIZE], const char *path, int64_t id)
{
    static const char digits[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const int64_t count = 916132832; /* 62 to the fifth */
    int64_t place = id % count * 387420489 % count;
    char label[6] = "";

    for (size_t i = 0; i < 5; i++, place /= 62)
        label[i] = digits[place % 62];
    if (*path == '\0')
        text_format(out, NAMESPACE_LABEL_SIZE, "root");
    else if (id < count)
        text_format(out, NAMESPACE_LABEL_SIZE, "%s", label);
    else
        text_format(out, NAMESPACE_LABEL_SIZE, "%" PRId64 "%s", id / count, label);
}
