/* SPDX-License-Identifier: MIT
 *
 * Tokens that exist: looked up, listed, revoked. Nothing here can print one.
 */
#include "secret.h"
#include "store_token.h"
#include "text.h"
#include "tool.h"

#include <stdio.h>
#include <string.h>

bool tool_token_which_check(struct tool_flags *flags, char *const arguments[],
                            struct error *err)
{
    if (!flags->accessor && !arguments[0])
        return error_set(err, ERROR_BAD_REQUEST,
                         "a token is missing: - reads it from standard input, -accessor= "
                         "names it");
    return !flags->accessor || !arguments[0] ||
           error_set(err, ERROR_BAD_REQUEST, "-accessor: does not go with a token");
}

/* The accessor of the token that is meant. */
static bool find(char accessor[static SECRET_ACCESSOR_TEXT + 1], struct db *db,
                 const struct tool_flags *flags, char *argument, struct error *err)
{
    char token[TOOL_SECRET_MAX];

    if (flags->accessor)
        return text_format(accessor, SECRET_ACCESSOR_TEXT + 1, "%s", flags->accessor) ||
               error_set(err, ERROR_NOT_FOUND, "token not found");
    if (!tool_read_secret(token, argument, err))
        return false;
    bool found = store_token_find(db, token, accessor, err);
    secret_wipe(token, sizeof token);
    return found;
}

bool tool_token_lookup(struct db *db, const struct tool_flags *flags, char *const arguments[],
                       struct error *err)
{
    char accessor[SECRET_ACCESSOR_TEXT + 1];

    if (!find(accessor, db, flags, arguments[0], err))
        return false;
    json_auto_t *token = store_token_lookup(db, accessor, err);
    return token && tool_print(token, flags, err);
}

/* A token that is not there is as good as revoked, and the exit status says so; but somebody who
 * mistyped an accessor must hear of it. */
bool tool_token_revoke(struct db *db, const struct tool_flags *flags, char *const arguments[],
                       struct error *err)
{
    char accessor[SECRET_ACCESSOR_TEXT + 1];

    if (!find(accessor, db, flags, arguments[0], err) ||
        !store_token_revoke(db, accessor, flags->orphan, err)) {
        if (err->code != ERROR_NOT_FOUND)
            return false;
        tool_warn("no token found: nothing was revoked");
        *err = (struct error){.code = ERROR_NONE};
    }
    puts("Success! Revoked token (if it existed)");
    return true;
}

bool tool_token_list(struct db *db, const struct tool_flags *flags, char *const arguments[],
                     struct error *err)
{
    static const struct tool_column columns[] = {
        {"Accessor", "accessor"}, {"Display Name", "display_name"}, {"Policies", "policies"},
        {"TTL", "ttl"},           {"Expire Time", "expire_time"},   {"Parent", "parent"},
    };
    json_auto_t *tokens = store_token_list(db, flags->namespace, err);

    (void)arguments;
    return tokens &&
           tool_print_rows(tokens, columns, sizeof columns / sizeof *columns, flags, err);
}
