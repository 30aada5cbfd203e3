/* SPDX-License-Identifier: MIT
 *
 * Words, flags and tables follow Vault's own tool: one dash or two, -flag=value or -flag value,
 * before or behind the arguments. Exit status: 0 done, 1 wrong usage, 2 it failed.
 */
#include "tool.h"

#include "config.h"
#include "db.h"
#include "text.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 1, EXIT_FAILED = 2, CONNECT_MS = 5000 };

/* What each takes besides -config. */
static const struct subcommand {
    const char *words[2];
    unsigned arguments;
    const char *flags; /* names, each followed by a space */
    bool (*run)(struct db *, const struct tool_flags *, char *const[], struct error *);
    const char *usage;
} subcommands[] = {
    {{"migrate", NULL}, 0, "migrations ", tool_migrate, "migrate [-migrations=DIR]"},
    {{"status", NULL}, 0, "migrations format ", tool_status,
     "status [-migrations=DIR] [-format=table|json]"},
    {{"token", "issue"}, 0, "namespace policy ttl display-name field format ", tool_token_issue,
     "token issue -policy=NAME [-policy=NAME…] [-ttl=1h] [-display-name=TEXT] "
     "[-namespace=PATH] [-field=NAME] [-format=table|json]"},
    {{"policy", "write"}, 2, "namespace ", tool_policy_write,
     "policy write [-namespace=PATH] NAME FILE|-"},
};

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},  {"migrations", required_argument, NULL, 'm'},
    {"namespace", required_argument, NULL, 'n'}, {"display-name", required_argument, NULL, 'd'},
    {"ttl", required_argument, NULL, 't'},     {"field", required_argument, NULL, 'f'},
    {"format", required_argument, NULL, 'o'},  {"policy", required_argument, NULL, 'p'},
    {"version", no_argument, NULL, 'V'},       {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int print_usage(FILE *out, int status)
{
    fputs("usage: runtime-catalog [-config=FILE] SUBCOMMAND\n", out);
    for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++)
        fprintf(out, "  %s\n", subcommands[i].usage);
    fputs("The database: -config=FILE, else RUNTIME_CATALOG_DSN, else the installed "
          "configuration.\n",
          out);
    return status;
}

/* "/team-a" → "team-a/" */
static const char *namespace_path(const char *text)
{
    static char path[1024];
    size_t start = strspn(text, "/"), length = strlen(text + start);

    while (length > 0 && text[start + length - 1] == '/')
        length--;
    text_format(path, sizeof path, "%.*s%s", (int)length, text + start, length > 0 ? "/" : "");
    return path;
}

/* Whether a flag was understood; its name goes to given[], for the subcommand to check. */
static bool take_flag(struct tool_flags *flags, int option)
{
    switch (option) {
    case 'c':
        flags->config = optarg;
        return true;
    case 'm':
        flags->migrations = optarg;
        return true;
    case 'n':
        flags->namespace = namespace_path(optarg);
        return true;
    case 'd':
        flags->display_name = optarg;
        return true;
    case 't':
        flags->ttl = optarg;
        return true;
    case 'f':
        flags->field = optarg;
        return true;
    case 'o':
        flags->json = strcmp(optarg, "json") == 0;
        return flags->json || strcmp(optarg, "table") == 0;
    case 'p':
        if (flags->policies_count == TOOL_POLICIES_MAX)
            return false;
        flags->policies[flags->policies_count++] = optarg;
        return true;
    default:
        return false;
    }
}

static const struct subcommand *find(char *const words[], int count)
{
    for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++) {
        const struct subcommand *subcommand = &subcommands[i];
        int wanted = subcommand->words[1] ? 2 : 1;
        if (count == wanted + (int)subcommand->arguments &&
            strcmp(words[0], subcommand->words[0]) == 0 &&
            (wanted == 1 || strcmp(words[1], subcommand->words[1]) == 0))
            return subcommand;
    }
    return NULL;
}

static bool takes(const struct subcommand *subcommand, const char *flag)
{
    char name[32];

    text_format(name, sizeof name, "%s ", flag);
    return strcmp(flag, "config") == 0 || strstr(subcommand->flags, name) != NULL;
}

static struct db *open_url(const char *connection_url, struct error *err)
{
    return db_open(
        &(struct db_options){
            .connection_url = connection_url,
            .application_name = "runtime-catalog " VERSION_TEXT,
            .max_connections = 1,
            .connect_ms = CONNECT_MS,
            .pool_ms = CONNECT_MS,
        },
        err);
}

static struct db *open_database(const struct tool_flags *flags, struct error *err)
{
    const char *dsn = getenv("RUNTIME_CATALOG_DSN");
    const char *path = flags->config ? flags->config
                                     : SYSCONFDIR "/runtime-catalog/runtime-catalog.conf";
    struct config config;

    if (!flags->config && dsn && *dsn)
        return open_url(dsn, err);
    if (!config_load(&config, path, err))
        return NULL;
    struct db *db = open_url(config.connection_url, err);
    config_fini(&config);
    return db;
}

static bool print_table(const json_t *object, struct error *err)
{
    const char *name;
    json_t *value;

    printf("%-20s %s\n%-20s %s\n", "Key", "Value", "---", "-----");
    json_object_foreach((json_t *)object, name, value)
    {
        char *text = json_is_string(value) ? strdup(json_string_value(value))
                                           : json_dumps(value, JSON_ENCODE_ANY);
        if (!text)
            return error_exhausted(err);
        printf("%-20s %s\n", name, text);
        free(text);
    }
    return true;
}

bool tool_print(const json_t *object, const struct tool_flags *flags, struct error *err)
{
    const json_t *value = flags->field ? json_object_get(object, flags->field) : object;

    if (!value)
        return error_set(err, ERROR_BAD_REQUEST, "field \"%s\" is not in the result",
                         flags->field);
    if (flags->field && json_is_string(value))
        return puts(json_string_value(value)) >= 0;
    if (flags->json || flags->field)
        return json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY) == 0 &&
               putchar('\n') == '\n';
    return print_table(object, err);
}

static int run(const struct subcommand *subcommand, const struct tool_flags *flags,
               char *const arguments[])
{
    struct error err = {.code = ERROR_NONE};
    struct db *db = open_database(flags, &err);
    bool done = db && subcommand->run(db, flags, arguments, &err);

    if (!done && err.code != ERROR_NONE)
        fprintf(stderr, "runtime-catalog: %s%s%s\n", err.text, *err.detail ? ": " : "",
                err.detail);
    db_close(db);
    return done && fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILED;
}

int main(int argc, char *argv[])
{
    struct tool_flags flags = {.migrations = MIGRATIONSDIR, .namespace = ""};
    const char *given[sizeof options / sizeof *options] = {NULL};
    int option, index = 0;

    log_set_level(LOG_LEVEL_WARN);
    while ((option = getopt_long_only(argc, argv, "", options, &index)) != -1) {
        if (option == 'h')
            return print_usage(stdout, EXIT_SUCCESS);
        if (option == 'V')
            return puts("runtime-catalog " VERSION_TEXT) < 0;
        if (!take_flag(&flags, option))
            return print_usage(stderr, EXIT_USAGE);
        given[index] = options[index].name;
    }
    const struct subcommand *subcommand = find(argv + optind, argc - optind);
    if (!subcommand)
        return print_usage(stderr, EXIT_USAGE);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        if (given[i] && !takes(subcommand, given[i])) {
            fprintf(stderr, "runtime-catalog: -%s does not belong to %s\nusage: %s\n", given[i],
                    subcommand->words[0], subcommand->usage);
            return EXIT_USAGE;
        }
    }
    return run(subcommand, &flags, argv + argc - (int)subcommand->arguments);
}
