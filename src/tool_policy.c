/* SPDX-License-Identifier: MIT */
#include "policy.h"
#include "policy_names.h"
#include "store_policy.h"
#include "text.h"
#include "tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLICY_TEXT_MAX = 524288 }; /* policy_text_check */

/* What does not compile is not stored, and the policy that is stored stays. */
static bool check_text(const char *name, const char *text, size_t length, struct error *err)
{
    struct policy *policy = policy_compile(&(struct policy_source){name, text, length}, 1, err);

    if (policy) {
        policy_free(policy);
        return true;
    }
    return policy_refuse(err);
}

/* The name as it is stored; with a warning, where it is to be stored, if that is another one. */
static bool take_name(char name[static 256], const char *given, bool warn, struct error *err)
{
    char copy[256];

    if (!text_format(copy, sizeof copy, "%s", given))
        return error_set(err, ERROR_BAD_REQUEST, "NAME: 255 bytes at most");
    text_format(name, 256, "%s", policy_name_stored(copy));
    if (warn && strcmp(name, given) != 0)
        tool_warn("Policy name was converted from \"%s\" to \"%s\"", given, name);
    return *name || error_set(err, ERROR_BAD_REQUEST, "NAME: is empty");
}

bool tool_policy_write(struct db *db, const struct tool_flags *flags, char *const arguments[],
                       struct error *err)
{
    char name[256];
    size_t length;

    if (!take_name(name, arguments[0], true, err))
        return false;
    if (policy_name_is_fixed(name))
        return error_set(err, ERROR_BAD_REQUEST, "cannot update \"%s\" policy", name);
    if (!policy_name_check(name, err))
        return false;
    char *text = tool_read(arguments[1], POLICY_TEXT_MAX, &length, err);
    if (!text)
        return false;
    bool stored = length > 0
                      ? check_text(name, text, length, err) &&
                            store_policy_put(db, flags->namespace, name, text, err)
                      : error_set(err, ERROR_BAD_REQUEST, "%s: 1 to %d bytes", arguments[1],
                                  POLICY_TEXT_MAX);
    free(text);
    if (stored)
        printf("Success! Uploaded policy: %s\n", name);
    return stored;
}

bool tool_policy_read(struct db *db, const struct tool_flags *flags, char *const arguments[],
                      struct error *err)
{
    char name[256];

    if (!take_name(name, arguments[0], false, err))
        return false;
    char *text = store_policy_get(db, flags->namespace, name, err);
    if (!text)
        return false;
    json_auto_t *object = json_pack("{s:s}", "policy", text);
    bool printed = object || error_exhausted(err);
    if (printed && flags->json)
        printed = tool_print_json(object, err);
    else if (printed) /* as it is stored, with a line end if it lacks one */
        printf("%s%s", text, *text && text[strlen(text) - 1] == '\n' ? "" : "\n");
    free(text);
    return printed;
}

bool tool_policy_list(struct db *db, const struct tool_flags *flags, char *const arguments[],
                      struct error *err)
{
    json_auto_t *names = store_policy_list(db, flags->namespace, err);
    json_t *name;
    size_t i;

    (void)arguments;
    if (!names)
        return false;
    if (flags->json)
        return tool_print_json(names, err);
    json_array_foreach(names, i, name) puts(json_string_value(name));
    return true;
}

bool tool_policy_delete(struct db *db, const struct tool_flags *flags, char *const arguments[],
                        struct error *err)
{
    char name[256];

    if (!take_name(name, arguments[0], false, err))
        return false;
    if (strcmp(name, "default") == 0)
        return error_set(err, ERROR_BAD_REQUEST, "cannot delete default policy");
    if (policy_name_is_fixed(name))
        return error_set(err, ERROR_BAD_REQUEST, "cannot delete \"%s\" policy", name);
    if (!store_policy_delete(db, flags->namespace, name, err))
        return false;
    printf("Success! Deleted policy: %s\n", name);
    return true;
}
