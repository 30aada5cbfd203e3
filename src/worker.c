/* SPDX-License-Identifier: MIT
 *
 * runtime-catalogd: options, start order, stop. No logic.
 */
#include "audit.h"
#include "config.h"
#include "log.h"
#include "notify.h"
#include "policy.h"
#include "process.h"
#include "schema.h"
#include "server.h"
#include "service.h"
#include "store_policy.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const char usage[] =
    "usage: runtime-catalogd [-c FILE] [-t] [-V]\n"
    "  -c FILE  configuration (default " SYSCONFDIR "/runtime-catalog/runtime-catalog.conf)\n"
    "  -t       test the configuration, the database, its schema and its policies, and exit\n"
    "  -V       print the version and exit\n";

static void report(const struct error *err)
{
    log_error("%s%s%s", err->text, *err->detail ? ": " : "", err->detail);
}

static struct listener_options listener_options(const struct config *config)
{
    return (struct listener_options){
        .address = config->address,
        .mode = config->mode,
        .peer_users = config->peer_users,
    };
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
static bool test(const struct config *config, struct db *db, struct error *err)
{
    unsigned faults = 0;

    struct listener_options listener = listener_options(config);
    if (!listener_check(&listener, err) || !audit_check(config->audit_path, err) ||
        !schema_check(db, err) || !store_policy_each(db, compile_policy, &faults, err)) {
        report(err);
        return false;
    }
    if (faults > 0)
        return false;
    log_info("configuration, database, schema and policies are good");
    return true;
}

/* A database that is away comes back; a schema that does not fit does not become fit. */
static bool may_start(struct service *service, struct error *err)
{
    if (service_check(service, err))
        return true;
    report(err);
    return error_is_of_storage(err);
}

static bool serve(struct service *service, struct error *err)
{
    const struct config *config = service_config(service);
    unsigned left;

    if (!may_start(service, err))
        return false;
    if (!service_begin(service, err)) {
        report(err);
        return false;
    }
    bool served = server_run(
        &(struct server_options){
            .listener = listener_options(config),
            .seccomp = config->seccomp,
            .audit_path = config->audit_path,
            .threads = config->threads,
            .descriptors = 2 * (config->max_connections + 1) + 16,
            .request_ms = config->request_ms,
            .shutdown_ms = config->shutdown_ms,
            .serve = service_serve,
            .reload = service_reload,
            .tick = service_tick,
            .context = service,
        },
        &left, err);
    if (!served)
        report(err);
    if (left > 0) /* they still use the database: nothing may be freed */
        _exit(served ? EXIT_SUCCESS : EXIT_FAILURE);
    return served;
}

/* Nothing here needs root's rights, and what never has them cannot lose them to anybody. Nor will
 * any program have more rights that somebody might make the worker start. */
static bool has_few_rights(void)
{
    uid_t real, effective, saved;

    return getresuid(&real, &effective, &saved) == 0 && real != 0 && effective != 0 &&
           saved != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

int main(int argc, char *argv[])
{
    const char *path = SYSCONFDIR "/runtime-catalog/runtime-catalog.conf";
    struct error err = {.code = ERROR_NONE};
    bool hidden = process_hide(), testing = false, good = false;
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
    if (!has_few_rights()) {
        log_error("runtime-catalogd does not run as root: start it as a user of its own, with "
                  "systemd's User= or runuser -u");
        return EXIT_FAILURE;
    }
    log_open();
    if (!hidden) {
        log_error("memory cannot be kept from others: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    json_object_seed(0); /* before the first thread: jansson's hash is seeded once */
    server_block_signals();
    notify_open();
    struct service *service = service_open(path, &err);
    if (!service)
        report(&err);
    else
        good = testing ? test(service_config(service), service_db(service), &err) : serve(service, &err);
    service_close(service);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
