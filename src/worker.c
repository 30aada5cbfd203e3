/* SPDX-License-Identifier: MIT
 *
 * runtime-catalogd: options, start order, stop. No logic.
 */
#include "config.h"
#include "db.h"
#include "exchange.h"
#include "log.h"
#include "policy.h"
#include "schema.h"
#include "server.h"
#include "store_policy.h"

#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CONNECT_MS = 2000,
    STATEMENT_MS = 5000,
    WAIT_MS = 2000,
    DRAIN_MS = 10000,
};

static const char usage[] =
    "usage: runtime-catalogd [-c FILE] [-t] [-V]\n"
    "  -c FILE  configuration (default " SYSCONFDIR "/runtime-catalog/runtime-catalog.conf)\n"
    "  -t       test the configuration, the database, its schema and its policies, and exit\n"
    "  -V       print the version and exit\n";

static void report(const struct error *err)
{
    log_error("%s%s%s", err->text, *err->detail ? ": " : "", err->detail);
}

static struct db *open_database(const struct config *config, struct error *err)
{
    return db_open(
        &(struct db_options){
            .connection_url = config->connection_url,
            .application_name = "runtime-catalogd " VERSION_TEXT,
            .max_connections = config->max_connections,
            .connect_ms = CONNECT_MS,
            .statement_ms = STATEMENT_MS,
            .wait_ms = WAIT_MS,
        },
        err);
}

static bool compile_policy(void *context, const char *namespace_path, const char *name,
                           const char *text, struct error *err)
{
    unsigned *faults = context;
    struct policy *policy =
        policy_compile(&(struct policy_source){name, text, strlen(text)}, 1, err);

    if (!policy) {
        log_error("policy \"%s%s\" does not compile: %s", namespace_path, name, err->text);
        ++*faults;
    }
    policy_free(policy);
    return true;
}

/* Everything that -t tests once the configuration is read. */
static bool test(struct db *db, struct error *err)
{
    unsigned faults = 0;

    if (!schema_check(db, err) || !store_policy_each(db, compile_policy, &faults, err)) {
        report(err);
        return false;
    }
    if (faults > 0)
        return false;
    log_info("configuration, database, schema and policies are good");
    return true;
}

/* A database that is away comes back; a schema that does not fit does not become fit. */
static bool may_start(struct db *db, struct error *err)
{
    if (schema_check(db, err))
        return true;
    report(err);
    return err->code == ERROR_STORAGE_AWAY;
}

static void serve_one(const void *context, const struct input *input,
                      const struct output *output, struct arena *arena)
{
    exchange_serve(context, input, output, arena);
}

static bool serve(const struct config *config, struct db *db, struct error *err)
{
    struct exchange exchange = {.db = db, .max_request_size = config->max_request_size};
    unsigned left;

    if (!may_start(db, err))
        return false;
    bool served = server_run(
        &(struct server_options){
            .address = config->address,
            .mode = config->mode,
            .threads = config->threads,
            .drain_ms = DRAIN_MS,
            .serve = serve_one,
            .context = &exchange,
        },
        &left, err);
    if (!served)
        report(err);
    if (left > 0) /* they still use the database: nothing may be freed */
        _exit(served ? EXIT_SUCCESS : EXIT_FAILURE);
    return served;
}

int main(int argc, char *argv[])
{
    const char *path = SYSCONFDIR "/runtime-catalog/runtime-catalog.conf";
    struct config config;
    struct error err = {.code = ERROR_NONE};
    bool testing = false, good = false;
    int option;

    while ((option = getopt(argc, argv, "c:tV")) != -1) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case 't':
            testing = true;
            break;
        case 'V':
            puts("runtime-catalogd " VERSION_TEXT);
            return EXIT_SUCCESS;
        default:
            fputs(usage, stderr);
            return EXIT_FAILURE;
        }
    }
    json_object_seed(0); /* before the first thread: jansson's hash is seeded once */
    if (!config_load(&config, path, &err)) {
        report(&err);
        return EXIT_FAILURE;
    }
    log_set_level(config.log_level);
    log_set_format(config.log_format);
    struct db *db = open_database(&config, &err);
    if (!db)
        report(&err);
    else
        good = testing ? test(db, &err) : serve(&config, db, &err);
    db_close(db);
    config_fini(&config);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
