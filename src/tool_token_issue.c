/* SPDX-License-Identifier: MIT
 *
 * The one moment at which a token is seen: the database gets its SHA-256.
 */
#include "secret.h"
#include "policy_names.h"
#include "store_token.h"
#include "text.h"
#include "token_auth.h"
#include "tool.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names as they are stored, in order, each once, as Vault does; root must be the only one. */
static bool check_policies(struct tool_list *names, struct error *err)
{
    size_t kept = 0;

    for (size_t i = 0; i < names->count; i++) {
        names->items[i] = policy_name_stored(names->items[i]);
        if (!*names->items[i] || strlen(names->items[i]) > 255)
            return error_set(err, ERROR_BAD_REQUEST, "-policy: 1 to 255 bytes");
        if (policy_name_is_fixed(names->items[i]) && strcmp(names->items[i], "root") != 0)
            return error_set(err, ERROR_BAD_REQUEST, "-policy: cannot assign policy \"%s\"",
                             names->items[i]);
    }
    qsort(names->items, names->count, sizeof *names->items, compare);
    for (size_t i = 0; i < names->count; i++) {
        if (kept == 0 || strcmp(names->items[kept - 1], names->items[i]) != 0)
            names->items[kept++] = names->items[i];
    }
    names->count = kept;
    for (size_t i = 0; i < kept && kept > 1; i++) {
        if (strcmp(names->items[i], "root") == 0)
            return error_set(err, ERROR_BAD_REQUEST, "-policy: root must be the only policy");
    }
    return kept > 0 || error_set(err, ERROR_BAD_REQUEST, "-policy: at least one is needed");
}

bool tool_token_issue_check(struct tool_flags *flags, char *const arguments[],
                            struct error *err)
{
    char name[TOKEN_DISPLAY_NAME_MAX];

    (void)arguments;
    if (flags->ttl > 0 && flags->period > 0)
        return error_set(err, ERROR_BAD_REQUEST,
                         "-ttl: a token with -period lives for a period at a time");
    if (flags->display_name && !token_display_name(name, flags->display_name))
        return error_set(err, ERROR_BAD_REQUEST, "-display-name: too long");
    return check_policies(&flags->policies, err);
}

static json_t *array_of(const struct tool_list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(array, json_string(list->items[i]));
    return array;
}

/* Of a key that is given twice the last value holds, as in Vault's tool. */
static json_t *object_of(const struct tool_list *pairs)
{
    json_t *object = json_object();

    for (size_t i = 0; i < pairs->count; i++) {
        const char *equals = strchr(pairs->items[i], '=');
        char key[4096];

        text_format(key, sizeof key, "%.*s", (int)(equals - pairs->items[i]), pairs->items[i]);
        json_object_set_new(object, key, json_string(equals + 1));
    }
    return object;
}

/* What is left of a time to live, or of a period, by -explicit-max-ttl. */
static int64_t lifetime(const struct tool_flags *flags)
{
    int64_t asked = flags->period > 0 ? flags->period : flags->ttl;
    int64_t max = flags->explicit_max_ttl;

    if (max == 0 || (asked > 0 && asked <= max))
        return asked;
    if (asked > 0)
        tool_warn("a time to live of %lds exceeds -explicit-max-ttl and is capped at %lds",
                  (long)asked, (long)max);
    return max;
}

static bool print_issued(const struct token_issue *issue, const char *token,
                         const char *accessor, const json_t *missing,
                         const struct tool_flags *flags, struct error *err)
{
    json_t *name;
    size_t i;
    json_auto_t *result =
        json_pack("{s:s, s:s, s:I, s:O, s:s}", "token", token, "token_accessor", accessor,
                  "token_duration", (json_int_t)issue->ttl, "token_policies", issue->policies,
                  "namespace", issue->namespace_path);

    json_array_foreach(missing, i, name)
        tool_warn("Policy \"%s\" does not exist", json_string_value(name));
    return result ? tool_print(result, flags, err) : error_exhausted(err);
}

bool tool_token_issue(struct db *db, const struct tool_flags *flags, char *const arguments[],
                      struct error *err)
{
    char token[SECRET_TOKEN_TEXT + 1], accessor[SECRET_ACCESSOR_TEXT + 1];
    char display_name[TOKEN_DISPLAY_NAME_MAX] = "token";
    json_auto_t *policies = array_of(&flags->policies);
    json_auto_t *networks = array_of(&flags->bound_cidrs);
    json_auto_t *meta = object_of(&flags->metadata);
    json_t *missing;

    (void)arguments;
    if (flags->display_name &&
        !token_display_name(display_name, flags->display_name))
        return error_set(err, ERROR_BAD_REQUEST, "-display-name: too long");
    if (json_array_size(policies) != flags->policies.count ||
        json_array_size(networks) != flags->bound_cidrs.count || !meta)
        return error_exhausted(err);
    if (!token_check_sizes(policies, meta, err))
        return false;
    struct token_issue issue = {
        .namespace_path = flags->namespace,
        .policies = policies,
        .display_name = display_name,
        .meta = flags->metadata.count > 0 ? meta : NULL,
        .bound_cidrs = flags->bound_cidrs.count > 0 ? networks : NULL,
        .ttl = lifetime(flags),
        .explicit_max_ttl = flags->explicit_max_ttl,
        .period = flags->period,
        .num_uses = flags->use_limit,
    };
    bool issued = store_token_issue(db, &issue, token, accessor, &missing, err);
    if (issued) {
        issued = print_issued(&issue, token, accessor, missing, flags, err);
        json_decref(missing);
    }
    secret_wipe(token, sizeof token);
    return issued;
}
