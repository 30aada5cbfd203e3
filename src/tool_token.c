/* SPDX-License-Identifier: MIT */
#include "duration.h"
#include "store_token.h"
#include "text.h"
#include "tool.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TTL_MAX = 100 * 366 * 86400U }; /* seconds: a hundred years */

/* -ttl in whole seconds. -1: no duration, or none of these. */
static int64_t parse_ttl(const char *text)
{
    int64_t ns;

    if (!duration_parse(text, &ns) || ns < DURATION_SECOND || ns / DURATION_SECOND > TTL_MAX)
        return -1;
    return ns / DURATION_SECOND;
}

/* Names are stored in lower case, as Vault does; root must be the only one. */
static bool check_policies(const struct tool_flags *flags, char names[][256], struct error *err)
{
    for (size_t i = 0; i < flags->policies_count; i++) {
        if (!text_format(names[i], 256, "%s", flags->policies[i]) || !*names[i])
            return error_set(err, ERROR_BAD_REQUEST, "-policy: 1 to 255 bytes");
        for (char *c = names[i]; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        if (flags->policies_count > 1 && strcmp(names[i], "root") == 0)
            return error_set(err, ERROR_BAD_REQUEST, "-policy: root must be the only policy");
    }
    return flags->policies_count > 0 ||
           error_set(err, ERROR_BAD_REQUEST, "-policy: at least one is needed");
}

static bool print_issued(const struct token_issue *issue, const char *token,
                         const char *accessor, const struct tool_flags *flags,
                         struct error *err)
{
    json_auto_t *policies = json_array();

    for (size_t i = 0; i < issue->policies_count; i++)
        json_array_append_new(policies, json_string(issue->policies[i]));
    json_auto_t *result =
        json_pack("{s:s, s:s, s:i, s:O, s:s}", "token", token, "token_accessor", accessor,
                  "token_duration", issue->ttl ? atoi(issue->ttl) : 0, "token_policies",
                  policies, "namespace", issue->namespace_path);
    return result ? tool_print(result, flags, err) : error_exhausted(err);
}

bool tool_token_issue(struct db *db, const struct tool_flags *flags, char *const arguments[],
                      struct error *err)
{
    char names[TOOL_POLICIES_MAX][256], ttl[24];
    const char *policies[TOOL_POLICIES_MAX];
    char token[SECRET_TOKEN_TEXT + 1], accessor[SECRET_ACCESSOR_TEXT + 1];
    int64_t seconds = flags->ttl ? parse_ttl(flags->ttl) : 0;

    (void)arguments;
    if (!check_policies(flags, names, err))
        return false;
    if (seconds < 0)
        return error_set(err, ERROR_BAD_REQUEST, "-ttl: a duration such as 90s, 15m, 1h, 2d");
    for (size_t i = 0; i < flags->policies_count; i++)
        policies[i] = names[i];
    text_format(ttl, sizeof ttl, "%" PRId64, seconds);
    struct token_issue issue = {
        .namespace_path = flags->namespace,
        .policies = policies,
        .policies_count = flags->policies_count,
        .ttl = flags->ttl ? ttl : NULL,
        .display_name = flags->display_name ? flags->display_name : "token",
    };
    bool issued = store_token_issue(db, &issue, token, accessor, err) &&
                  print_issued(&issue, token, accessor, flags, err);
    secret_wipe(token, sizeof token);
    return issued;
}
