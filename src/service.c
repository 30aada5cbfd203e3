/* SPDX-License-Identifier: MIT */
#include "service.h"

#include "audit.h"
#include "cache.h"
#include "cache_gate.h"
#include "config.h"
#include "db.h"
#include "exchange.h"
#include "lease.h"
#include "log.h"
#include "schema.h"
#include "server.h"
#include "store_token_api.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    POLL_MS = 1000,   /* a poll */
    CHECK_MS = 1000,  /* between two looks at the schema's version */
    TIDY_BATCH = 100, /* tokens a statement */
    TIDY_MS = 1000,   /* all statements of one tick */
};

/* Whether the schema is one that this program works on. */
enum fitness {
    FITNESS_UNKNOWN = 0, /* the database has not answered yet */
    FITNESS_GOOD,
    FITNESS_UNFIT,
};

/* One reading. */
struct generation {
    struct config config;
    struct db *db;
    struct cache *cache;
    struct db *lease_db; /* of one connection */
    struct lease *lease; /* NULL: not started, or there is none to keep */
    struct audit *audit; /* NULL: there is no audit log */
    unsigned users; /* requests, and the service while it is the current one */
    _Atomic enum fitness fitness;
};

struct service {
    const char *path;
    pthread_mutex_t mutex; /* guards everything below, and every generation's users */
    struct generation *current;
    unsigned generations; /* that requests are still served with, the current one included */
    bool served; /* a request, since the last tick */

    /* Of the thread that ticks. */
    bool untidy;       /* a request was served since the last tidying */
    int64_t tidied_at; /* of now_ms() */
};

/* Milliseconds of a clock that nobody sets. */
static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void generation_free(struct generation *generation)
{
    if (!generation)
        return;
    audit_close(generation->audit);
    lease_stop(generation->lease);
    cache_free(generation->cache);
    db_close(generation->lease_db);
    db_close(generation->db);
    config_fini(&generation->config);
    free(generation);
}

static struct db_options database_options(const struct config *config)
{
    return (struct db_options){
        .connection_url = config->connection_url,
        .application_name = "runtime-catalogd " VERSION_TEXT,
        .max_connections = config->max_connections,
        .connect_ms = config->connect_ms,
        .pool_ms = config->pool_ms,
        .statement_ms = config->statement_ms,
        /* The other half of the threads is for who needs no database; and one that serves no
         * requests ticks. */
        .max_waiting = config->threads / 2 - config->max_connections + 1,
    };
}

/* A connection that no request takes away, for polls, which are of no use later. */
static struct db_options lease_options(const struct config *config)
{
    struct db_options options = database_options(config);

    options.max_connections = 1;
    options.statement_ms = config->statement_ms < POLL_MS ? config->statement_ms : POLL_MS;
    options.quiet = true;
    return options;
}

/* What works by the configuration. */
static bool set_up(struct generation *generation, struct error *err)
{
    const struct config *config = &generation->config;
    struct db_options options = database_options(config), of_lease = lease_options(config);

    generation->db = db_open(&options, err);
    if (!generation->db)
        return false;
    generation->lease_db = db_open(&of_lease, err);
    if (!generation->lease_db)
        return false;
    generation->cache = cache_new(
        &(struct cache_options){
            .max_bytes = config->max_bytes,
            .max_staleness_ms = config->max_staleness_ms,
        },
        err);
    return generation->cache != NULL;
}

static struct generation *generation_new(const char *path, struct error *err)
{
    struct generation *generation = calloc(1, sizeof *generation);

    if (!generation) {
        error_exhausted(err);
        return NULL;
    }
    generation->users = 1;
    if (!config_load(&generation->config, path, err)) {
        free(generation);
        return NULL;
    }
    if (!set_up(generation, err)) {
        generation_free(generation);
        return NULL;
    }
    return generation;
}

static void set_up_log(const struct config *config)
{
    log_set_level(config->log_level);
    log_set_format(config->log_format);
}

struct service *service_open(const char *path, struct error *err)
{
    struct generation *generation = generation_new(path, err);
    struct service *service = generation ? calloc(1, sizeof *service) : NULL;

    if (!service) {
        if (generation)
            error_exhausted(err);
        generation_free(generation);
        return NULL;
    }
    service->path = path;
    service->current = generation;
    service->generations = 1;
    service->tidied_at = now_ms();
    pthread_mutex_init(&service->mutex, NULL);
    set_up_log(&generation->config);
    return service;
}

void service_close(struct service *service)
{
    if (!service)
        return;
    generation_free(service->current);
    pthread_mutex_destroy(&service->mutex);
    free(service);
}

/* Looks at the schema and notes what it finds. False with *err: it does not fit, or the database is
 * away, which says nothing about its schema. */
static bool check(struct generation *generation, struct error *err)
{
    bool good = schema_check(generation->db, err);

    if (good || !error_is_of_storage(err))
        generation->fitness = good ? FITNESS_GOOD : FITNESS_UNFIT;
    return good;
}

/* The same, and a line in the log where it is not as it was. */
static bool watch(struct generation *generation, struct error *err)
{
    enum fitness before = generation->fitness;
    bool good = check(generation, err);

    if (good && before == FITNESS_UNFIT)
        log_info("the schema fits again");
    if (!good && !error_is_of_storage(err) && before != FITNESS_UNFIT)
        log_error("requests are refused until the schema fits: %s%s%s", err->text,
                  *err->detail ? ": " : "", err->detail);
    return good;
}

/* NULL where the schema is known to fit; else *err, why who needs it is refused. What is not known
 * is looked at now. */
static const struct error *unfit(struct generation *generation, struct error *err)
{
    enum fitness fitness = generation->fitness;

    if (fitness == FITNESS_GOOD || (fitness == FITNESS_UNKNOWN && watch(generation, err)))
        return NULL;
    if (fitness == FITNESS_UNFIT || !error_is_of_storage(err))
        error_set(err, ERROR_STORAGE_AWAY,
                  "storage is not available: its schema is not one that this version works on");
    return err;
}

static bool open_audit(struct generation *generation, struct error *err)
{
    const struct config *config = &generation->config;

    if (!config->audit_path)
        return true;
    generation->audit = audit_open(
        &(struct audit_options){
            .file_path = config->audit_path,
            .mode = config->audit_mode,
            .hmac_accessor = config->hmac_accessor,
            .elide_list_responses = config->elide_list_responses,
        },
        err);
    return generation->audit != NULL;
}


/* What only serving needs. What is remembered is kept true from here on. */
static bool begin(struct generation *generation, struct error *err)
{
    if (!open_audit(generation, err))
        return false;
    if (generation->config.max_staleness_ms > 0)
        generation->lease = lease_start(generation->lease_db, generation->cache, err);
    return generation->config.max_staleness_ms == 0 || generation->lease;
}

bool service_begin(struct service *service, struct error *err)
{
    return begin(service->current, err);
}

bool service_check(struct service *service, struct error *err)
{
    return check(service->current, err);
}

const struct config *service_config(const struct service *service)
{
    return &service->current->config;
}

struct db *service_db(const struct service *service)
{
    return service->current->db;
}

static struct generation *enter(struct service *service)
{
    pthread_mutex_lock(&service->mutex);
    struct generation *generation = service->current;
    generation->users++;
    service->served = true;
    pthread_mutex_unlock(&service->mutex);
    return generation;
}

/* What requests of an older generation wrote the newer cache has not heard of by itself: it
 * answers once there are none left. */
static void release_cache(struct generation *generation)
{
    cache_drop_all(generation->cache);
    cache_gate_hold(cache_gate(generation->cache), false);
}

static void leave(struct service *service, struct generation *generation)
{
    pthread_mutex_lock(&service->mutex);
    bool last = --generation->users == 0;
    if (last && --service->generations == 1)
        release_cache(service->current);
    pthread_mutex_unlock(&service->mutex);
    if (last)
        generation_free(generation);
}

void service_serve(void *context, const struct input *input, const struct output *output,
                   struct arena *arena)
{
    struct generation *generation = enter(context);
    const struct config *config = &generation->config;
    struct error fault;

    db_set_deadline(config->request_ms);
    exchange_serve(
        &(struct exchange){
            .db = generation->db,
            .cache = generation->cache,
            .unfit = unfit(generation, &fault),
            .max_request_size = config->max_request_size,
            .api_version = config->api_version,
            .audit = generation->audit,
            .connections = server_connections(),
            .metrics_to_anybody = config->unauthenticated_metrics,
        },
        input, output, arena);
    leave(context, generation);
}

/* Not one long statement, and not for long: it is the thread that waits for signals. */
static void tidy(struct db *db)
{
    unsigned count = TIDY_BATCH;
    struct error err;

    db_set_deadline(TIDY_MS);
    while (count == TIDY_BATCH) {
        if (!store_token_api_tidy_all(db, TIDY_BATCH, &count, &err)) {
            log_debug("tokens that have ended were not deleted: %s", err.detail);
            break;
        }
    }
    db_set_deadline(0);
}

static bool take_served(struct service *service)
{
    pthread_mutex_lock(&service->mutex);
    bool served = service->served;
    service->served = false;
    pthread_mutex_unlock(&service->mutex);
    return served;
}

unsigned service_tick(void *context)
{
    struct service *service = context;
    struct generation *generation = service->current; /* replaced by this thread alone */
    unsigned tidy_ms = generation->config.tidy_ms;
    struct error fault;

    if (take_served(service)) {
        service->untidy = true;
        db_set_deadline(CHECK_MS);
        (void)watch(generation, &fault);
        db_set_deadline(0);
    }
    if (service->untidy && now_ms() - service->tidied_at >= tidy_ms) {
        tidy(generation->db);
        service->untidy = false;
        service->tidied_at = now_ms();
    }
    return tidy_ms < CHECK_MS ? tidy_ms : CHECK_MS;
}

static bool differ(const char *one, const char *other)
{
    return strcmp(one ? one : "", other ? other : "") != 0;
}

/* Says which of the settings that only a start reads have changed. */
static void warn_of_restart(const struct config *old, const struct config *new)
{
    if (differ(old->address, new->address) || old->mode != new->mode ||
        differ(old->peer_users, new->peer_users) || old->seccomp != new->seccomp ||
        old->threads != new->threads || old->shutdown_ms != new->shutdown_ms)
        log_warn("listener address, mode, peer_users, threads and shutdown_timeout, and seccomp, "
                 "change with a restart only");
}

/* A database that is away at this moment comes back, but a new one may just be misspelt. */
static bool may_replace(const struct generation *old, struct generation *new,
                        struct error *err)
{
    if (check(new, err))
        return true;
    return error_is_of_storage(err) &&
           strcmp(old->config.connection_url, new->config.connection_url) == 0;
}

void service_reload(void *context)
{
    struct service *service = context;
    struct generation *old = service->current; /* nobody else replaces it */
    struct error err;
    struct generation *new = generation_new(service->path, &err);

    if (!new || !may_replace(old, new, &err) || !begin(new, &err)) {
        log_error("configuration not reloaded, the old one stays: %s%s%s", err.text,
                  *err.detail ? ": " : "", err.detail);
        generation_free(new);
        /* The log was perhaps rotated, which must not wait for a configuration to be mended. */
        if (!audit_reopen(old->audit, &err))
            log_error("%s", err.text);
        return;
    }
    warn_of_restart(&old->config, &new->config);
    set_up_log(&new->config);
    cache_gate_hold(cache_gate(new->cache), true);
    pthread_mutex_lock(&service->mutex);
    service->current = new;
    service->generations++;
    pthread_mutex_unlock(&service->mutex);
    leave(service, old);
    log_info("configuration reloaded");
}
