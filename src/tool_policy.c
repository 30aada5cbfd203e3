/* SPDX-License-Identifier: MIT */
#include "policy.h"
#include "store_policy.h"
#include "text.h"
#include "tool.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { POLICY_TEXT_MAX = 524288 }; /* policy_text_check */

static bool read_text(const char *path, char *text, size_t *length, struct error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(path, "re");

    if (!file)
        return error_set(err, ERROR_BAD_REQUEST, "%s: %s", path, strerror(errno));
    *length = fread(text, 1, POLICY_TEXT_MAX + 1, file);
    bool failed = ferror(file) != 0;
    if (!is_stdin)
        fclose(file);
    if (failed)
        return error_set(err, ERROR_BAD_REQUEST, "%s: %s", path, strerror(errno));
    if (*length == 0 || *length > POLICY_TEXT_MAX)
        return error_set(err, ERROR_BAD_REQUEST, "%s: 1 to %d bytes", path, POLICY_TEXT_MAX);
    text[*length] = '\0';
    return true;
}

/* What does not compile is not stored, and the policy that is stored stays. */
static bool check_text(const char *name, const char *text, size_t length, struct error *err)
{
    char fault[ERROR_TEXT_MAX];
    struct policy *policy = policy_compile(&(struct policy_source){name, text, length}, 1, err);

    if (policy) {
        policy_free(policy);
        return true;
    }
    if (err->code != ERROR_BAD_REQUEST)
        return false;
    memcpy(fault, err->text, sizeof fault);
    return error_set(err, ERROR_BAD_REQUEST, "failed to parse policy: %.3000s", fault);
}

bool tool_policy_write(struct db *db, const struct tool_flags *flags, char *const arguments[],
                       struct error *err)
{
    static char text[POLICY_TEXT_MAX + 2];
    char name[256];
    size_t length = 0;

    if (!text_format(name, sizeof name, "%s", arguments[0]))
        return error_set(err, ERROR_BAD_REQUEST, "name: 255 bytes at most");
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    if (strcmp(name, "root") == 0)
        return error_set(err, ERROR_BAD_REQUEST, "cannot update \"root\" policy");
    if (!read_text(arguments[1], text, &length, err) || !check_text(name, text, length, err) ||
        !store_policy_put(db, flags->namespace, name, text, err))
        return false;
    printf("Success! Uploaded policy: %s\n", name);
    return true;
}
