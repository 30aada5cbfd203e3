/* SPDX-License-Identifier: MIT
 *
 * Words, flags and tables follow Vault's own tool: one dash or two, -flag=value or -flag value,
 * before or behind the arguments. Exit status: 0 done, 1 wrong usage, 2 it failed; of policy
 * test, as of a question: 0 yes, 2 no, 1 no answer.
 */
#include "tool.h"

#include "config.h"
#include "db.h"
#include "process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 1, EXIT_FAILED = 2, CONNECT_MS = 5000 };

/* What the worker has by its role. People have time-outs of their own only if somebody set some for
 * them, and then those count. */
#define SESSION(statement_timeout)                                                           \
    "/* session */"                                                                          \
    " SELECT count(pg_catalog.set_config(bound.name, bound.value, false))"                   \
    "   FROM (VALUES ('search_path', ''),"                                                   \
    "                ('statement_timeout', '" statement_timeout "'),"                        \
    "                ('lock_timeout', '5s'),"                                                \
    "                ('idle_in_transaction_session_timeout', '1min')) AS bound (name, value)" \
    "  WHERE bound.name = 'search_path' OR pg_catalog.current_setting(bound.name) = '0'"

#define NAMESPACE_FIELDS " custom_metadata id max_runtimes path runtimes "

/* What each takes; -config too, unless it is offline. */
static const struct subcommand {
    const char *words[2];
    int arguments_min, arguments_max;
    const char *flags; /* names, each between spaces */
    tool_check *check; /* NULL: nothing more to check */
    tool_run *run;
    bool offline;       /* needs no database */
    bool takes_long;    /* has statements without a time-out */
    const char *fields; /* what -field may name, each between spaces */
    const char *usage;
} subcommands[] = {
    {
        .words = {"migrate", NULL},
        .flags = " migrations wait ",
        .run = tool_migrate,
        .takes_long = true,
        .usage = "migrate [-migrations=DIR] [-wait=1m]",
    },
    {
        .words = {"status", NULL},
        .flags = " migrations format ",
        .run = tool_status,
        .usage = "status [-migrations=DIR] [-format=table|json]",
    },
    {
        .words = {"token", "issue"},
        .flags = " namespace policy ttl explicit-max-ttl period use-limit display-name metadata "
                 "bound-cidr field format ",
        .check = tool_token_issue_check,
        .run = tool_token_issue,
        .fields = " token token_accessor token_duration token_policies namespace ",
        .usage = "token issue -policy=NAME… [-ttl=1h | -period=1h] [-explicit-max-ttl=1h]\n"
                 "      [-use-limit=N] [-display-name=TEXT] [-metadata=KEY=VALUE…]\n"
                 "      [-bound-cidr=NETWORK…] [-namespace=PATH] [-field=NAME] "
                 "[-format=table|json]",
    },
    {
        .words = {"token", "lookup"},
        .arguments_max = 1,
        .flags = " accessor field format ",
        .check = tool_token_which_check,
        .run = tool_token_lookup,
        .fields = " accessor bound_cidrs creation_time display_name expire_time explicit_max_ttl "
                  "issue_time meta namespace_path num_uses orphan parent period policies ttl "
                  "type ",
        .usage = "token lookup TOKEN | - | -accessor=ACCESSOR [-field=NAME] "
                 "[-format=table|json]",
    },
    {
        .words = {"token", "revoke"},
        .arguments_max = 1,
        .flags = " accessor mode ",
        .check = tool_token_which_check,
        .run = tool_token_revoke,
        .usage = "token revoke TOKEN | - | -accessor=ACCESSOR [-mode=orphan]",
    },
    {
        .words = {"token", "list"},
        .flags = " namespace format ",
        .run = tool_token_list,
        .usage = "token list [-namespace=PATH] [-format=table|json]",
    },
    {
        .words = {"policy", "write"},
        .arguments_min = 2,
        .arguments_max = 2,
        .flags = " namespace ",
        .run = tool_policy_write,
        .usage = "policy write [-namespace=PATH] NAME FILE|-",
    },
    {
        .words = {"policy", "read"},
        .arguments_min = 1,
        .arguments_max = 1,
        .flags = " namespace format ",
        .run = tool_policy_read,
        .usage = "policy read [-namespace=PATH] [-format=table|json] NAME",
    },
    {
        .words = {"policy", "list"},
        .flags = " namespace format ",
        .run = tool_policy_list,
        .usage = "policy list [-namespace=PATH] [-format=table|json]",
    },
    {
        .words = {"policy", "delete"},
        .arguments_min = 1,
        .arguments_max = 1,
        .flags = " namespace ",
        .run = tool_policy_delete,
        .usage = "policy delete [-namespace=PATH] NAME",
    },
    {
        .words = {"policy", "test"},
        .flags = " policy operation path data wrap-ttl cases field format ",
        .check = tool_policy_test_check,
        .run = tool_policy_test,
        .offline = true,
        .fields = " allowed reason rule policies capabilities sudo sudo_required ",
        .usage = "policy test -policy=FILE… -operation=OPERATION -path=PATH [-data=JSON]\n"
                 "      [-wrap-ttl=1h] [-field=NAME] [-format=table|json]\n"
                 "  policy test -cases=FILE",
    },
    {
        .words = {"audit", "hash"},
        .arguments_min = 1,
        .arguments_max = 1,
        .flags = " ",
        .run = tool_audit_hash,
        .usage = "audit hash TEXT | -",
    },
    {
        .words = {"namespace", "create"},
        .arguments_min = 1,
        .arguments_max = 1,
        .flags = " namespace max-runtimes custom-metadata field format ",
        .check = tool_namespace_check,
        .run = tool_namespace_create,
        .fields = NAMESPACE_FIELDS,
        .usage = "namespace create [-max-runtimes=N] [-custom-metadata=KEY=VALUE…]\n"
                 "      [-namespace=PATH] [-field=NAME] [-format=table|json] NAME",
    },
    {
        .words = {"namespace", "list"},
        .flags = " namespace format ",
        .run = tool_namespace_list,
        .usage = "namespace list [-namespace=PATH] [-format=table|json]",
    },
    {
        .words = {"namespace", "read"},
        .arguments_min = 1,
        .arguments_max = 1,
        .flags = " namespace field format ",
        .check = tool_namespace_check,
        .run = tool_namespace_read,
        .fields = NAMESPACE_FIELDS,
        .usage = "namespace read [-namespace=PATH] [-field=NAME] [-format=table|json] NAME",
    },
    {
        .words = {"namespace", "update"},
        .arguments_min = 1,
        .arguments_max = 1,
        .flags = " namespace max-runtimes custom-metadata remove-custom-metadata field format ",
        .check = tool_namespace_check,
        .run = tool_namespace_update,
        .fields = NAMESPACE_FIELDS,
        .usage = "namespace update [-max-runtimes=N|none] [-custom-metadata=KEY=VALUE…]\n"
                 "      [-remove-custom-metadata=KEY…] [-namespace=PATH] [-field=NAME]\n"
                 "      [-format=table|json] NAME",
    },
    {
        .words = {"namespace", "delete"},
        .arguments_min = 1,
        .arguments_max = 1,
        .flags = " namespace ",
        .check = tool_namespace_check,
        .run = tool_namespace_delete,
        .usage = "namespace delete [-namespace=PATH] NAME",
    },
    {
        .words = {"history", NULL},
        .flags = " accessor role request-id table name namespace since until limit format ",
        .check = tool_history_check,
        .run = tool_history,
        .usage = "history [-accessor=ACCESSOR] [-role=ROLE] [-request-id=ID]\n"
                 "      [-table=TABLE] [-name=NAME] [-namespace=PATH]\n"
                 "      [-since=TIME] [-until=TIME] [-limit=N] [-format=table|json]",
    },
};

enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

static int words_of(const struct subcommand *subcommand)
{
    return subcommand->words[1] ? 2 : 1;
}

/* Whether words[count] begin as the subcommand does, as far as both go. */
static bool begins(const struct subcommand *subcommand, char *const words[], int count)
{
    for (int i = 0; i < count && i < words_of(subcommand); i++) {
        if (strcmp(words[i], subcommand->words[i]) != 0)
            return false;
    }
    return true;
}

static const struct subcommand *find(char *const words[], int count)
{
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        if (count >= words_of(&subcommands[i]) && begins(&subcommands[i], words, count))
            return &subcommands[i];
    }
    return NULL;
}

/* The subcommands that the words may become. Words that lead to none are wrong usage. */
static int print_usage(FILE *out, char *const words[], int count)
{
    bool any = false;

    for (size_t i = 0; i < SUBCOMMANDS; i++)
        any = any || begins(&subcommands[i], words, count);
    if (!any) {
        fprintf(stderr, "runtime-catalog: unknown subcommand %s\n", words[0]);
        out = stderr;
    }
    fputs("usage: runtime-catalog [-config=FILE] SUBCOMMAND\n", out);
    for (size_t i = 0; i < SUBCOMMANDS; i++) {
        if (!any || begins(&subcommands[i], words, count))
            fprintf(out, "  %s\n", subcommands[i].usage);
    }
    fputs("The database: -config=FILE, else RUNTIME_CATALOG_DSN, else the installed "
          "configuration.\n",
          out);
    return any && out == stdout ? EXIT_SUCCESS : EXIT_USAGE;
}

static int report(const struct error *err, int status)
{
    fprintf(stderr, "runtime-catalog: %s%s%s\n", err->text, *err->detail ? ": " : "",
            err->detail);
    return status;
}

/* What the subcommand's row does not have. */
static bool check_row(const struct subcommand *subcommand, const struct tool_flags *flags,
                      char *const arguments[], int count, struct error *err)
{
    char names[256];
    const char *word = subcommand->words[0], *second = subcommand->words[1];

    snprintf(names, sizeof names, " help h%s%s", subcommand->offline ? "" : " config",
             subcommand->flags);
    const char *stray = tool_flags_stray(flags, names);
    if (stray)
        return error_set(err, ERROR_BAD_REQUEST, "-%s does not belong to %s%s%s", stray, word,
                         second ? " " : "", second ? second : "");
    if (count < subcommand->arguments_min)
        return error_set(err, ERROR_BAD_REQUEST, "an argument is missing");
    if (count > subcommand->arguments_max)
        return error_set(err, ERROR_BAD_REQUEST, "one argument too many: %s",
                         subcommand->arguments_max == 1 &&
                                 (strcmp(word, "token") == 0 || strcmp(word, "audit") == 0)
                             ? "(not shown)" /* perhaps a token */
                             : arguments[subcommand->arguments_max]);
    if (flags->field) {
        snprintf(names, sizeof names, " %.200s ", flags->field);
        if (!strstr(subcommand->fields, names))
            return error_set(err, ERROR_BAD_REQUEST,
                             "-field: field \"%s\" is not in the result, which has:%s",
                             flags->field, subcommand->fields);
    }
    return true;
}

static struct db *open_url(const char *connection_url, bool takes_long, struct error *err)
{
    return db_open(
        &(struct db_options){
            .connection_url = connection_url,
            .application_name = "runtime-catalog " VERSION_TEXT,
            .session = takes_long ? SESSION("0") : SESSION("5min"),
            .max_connections = 1,
            .connect_ms = CONNECT_MS,
            .pool_ms = CONNECT_MS,
        },
        err);
}

static struct db *open_database(const struct tool_flags *flags, bool takes_long,
                                struct error *err)
{
    const char *dsn = getenv("RUNTIME_CATALOG_DSN");
    const char *path = flags->config ? flags->config
                                     : SYSCONFDIR "/runtime-catalog/runtime-catalog.conf";
    struct config config;

    if (!flags->config && dsn && *dsn)
        return open_url(dsn, takes_long, err);
    if (!config_load(&config, path, err))
        return NULL;
    struct db *db = open_url(config.connection_url, takes_long, err);
    config_fini(&config);
    return db;
}

static int run(const struct subcommand *subcommand, const struct tool_flags *flags,
               char *const arguments[])
{
    struct error err = {.code = ERROR_NONE};
    struct db *db =
        subcommand->offline ? NULL : open_database(flags, subcommand->takes_long, &err);
    bool done = (db || subcommand->offline) && subcommand->run(db, flags, arguments, &err);

    db_close(db);
    if (!done && err.code != ERROR_NONE)
        return report(&err, subcommand->offline ? EXIT_USAGE : EXIT_FAILED);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        error_set(&err, ERROR_INTERNAL, "standard output could not be written");
        return report(&err, subcommand->offline ? EXIT_USAGE : EXIT_FAILED);
    }
    return done ? EXIT_SUCCESS : EXIT_FAILED;
}

static int serve(struct tool_flags *flags, char *words[], int count)
{
    struct error err;

    if (flags->version)
        return puts("runtime-catalog " VERSION_TEXT) < 0;
    bool help = count > 0 && strcmp(words[0], "help") == 0;
    if (help || flags->help)
        return print_usage(stdout, words + help, count - help);
    const struct subcommand *subcommand = find(words, count);
    if (!subcommand)
        return print_usage(stderr, words, count);
    char **arguments = words + words_of(subcommand);
    if (!check_row(subcommand, flags, arguments, count - words_of(subcommand), &err) ||
        (subcommand->check && !subcommand->check(flags, arguments, &err))) {
        report(&err, EXIT_USAGE);
        fprintf(stderr, "usage: runtime-catalog %s\n", subcommand->usage);
        return EXIT_USAGE;
    }
    return run(subcommand, flags, arguments);
}

int main(int argc, char *argv[])
{
    struct tool_flags flags = {.migrations = MIGRATIONSDIR, .namespace = "", .limit = 100};
    struct error err;

    if (!process_hide())
        return report(&(struct error){.text = "memory cannot be kept from others"}, EXIT_FAILED);
    log_set_level(LOG_LEVEL_WARN);
    int count = argc > 0 ? tool_flags_parse(&flags, argv + 1, &err) : 0;
    int status = count >= 0 ? serve(&flags, argv + 1, count) : report(&err, EXIT_USAGE);
    if (count < 0)
        fputs("runtime-catalog -h shows the usage\n", stderr);
    tool_flags_fini(&flags);
    return status;
}
