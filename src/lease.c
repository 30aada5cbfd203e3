/* SPDX-License-Identifier: MIT
 *
 * The order is all: first the moment is noted, then the question is sent, then what the answer
 * names is dropped, and then the gate opens, until that moment plus max_staleness. Whatever
 * takes its time in between, a statement or a process that was suspended, shortens what is left.
 */
#include "lease.h"

#include "cache.h"
#include "cache_gate.h"
#include "cache_topic.h"
#include "db.h"
#include "lease_rules.h"
#include "log.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct lease {
    struct db *db;
    struct cache *cache;
    struct cache_gate *gate;
    struct lease_rules rules;
    enum cache_state told; /* the log */
    pthread_t thread;
};

/* The first row says who answers, and when; every other one is a change. */
enum { SNAPSHOT, CLOCK, SERVER, BACKEND, IN_RECOVERY, TABLE, NAMESPACE_ID, KEY };

static const struct db_statement statement = {
    .name = "lease_follow",
    .parameters = 1,
    .sql = "SELECT pg_current_snapshot(),"
           "       (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,"
           "       pg_postmaster_start_time(),"
           "       activity.pid || ' ' || extract(epoch FROM activity.backend_start),"
           "       pg_is_in_recovery(), NULL AS table_name, NULL AS namespace_id, NULL AS key"
           "  FROM pg_stat_get_activity(pg_backend_pid()) AS activity"
           " UNION ALL"
           " SELECT NULL, NULL, NULL, NULL, NULL, change.table_name, change.namespace_id, change.key"
           "  FROM runtime_catalog.follow_changes($1) AS change",
};

static const char *text_of(const json_t *key, const char *name)
{
    const char *text = json_string_value(json_object_get(key, name));

    return text ? text : "";
}

/* False: it is not known what changed. */
static bool drop_named(struct cache *cache, const char *table, int64_t namespace_id,
                       const json_t *key)
{
    if (strcmp(table, "runtime") == 0) {
        cache_drop(cache, cache_topic_runtime(cache, namespace_id, text_of(key, "type"),
                                              text_of(key, "name")));
        cache_drop(cache, cache_topic_runtimes(cache, namespace_id));
    } else if (strcmp(table, "plugin") == 0) {
        cache_drop(cache, cache_topic_plugins(cache, namespace_id));
    } else if (strcmp(table, "policy") == 0) {
        cache_drop(cache, cache_topic_policy(cache, namespace_id, text_of(key, "name")));
    } else if (strcmp(table, "token") == 0) {
        cache_drop(cache, cache_topic_token(cache, text_of(key, "accessor")));
    } else if (strcmp(table, "namespace") == 0) {
        cache_drop(cache, cache_topic_namespace(cache, namespace_id));
    } else {
        return false;
    }
    return true;
}

static bool drop_row(struct cache *cache, const struct db_result *result, size_t row)
{
    const char *table = db_result_text(result, row, TABLE);
    const char *namespace_id = db_result_text(result, row, NAMESPACE_ID);
    const char *text = db_result_text(result, row, KEY);
    json_auto_t *key = text ? json_loads(text, 0, NULL) : NULL;

    return !table || /* the first row */
           (namespace_id && key &&
            drop_named(cache, table, strtoll(namespace_id, NULL, 10), key));
}

static void drop_rows(struct cache *cache, const struct db_result *result)
{
    bool known = true;

    for (size_t row = 0; known && row < db_result_rows(result); row++)
        known = drop_row(cache, result, row);
    if (!known)
        cache_drop_all(cache);
}

/* Which row tells who answers; rows come in no promised order. */
static size_t head_of(const struct db_result *result)
{
    size_t row = 0;

    while (row + 1 < db_result_rows(result) && db_result_text(result, row, TABLE))
        row++;
    return row;
}

static void say(struct lease *lease, enum cache_state state, const char *detail)
{
    if (lease->told == state)
        return;
    if (state == CACHE_ON)
        log_write(lease->told == CACHE_STARTING ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "cache %s", cache_state_name(state));
    else
        log_warn("cache %s%s%s", cache_state_name(state), *detail ? ": " : "", detail);
    lease->told = state;
}

static void close_gate(struct lease *lease, enum cache_state reason, const char *detail)
{
    cache_gate_close(lease->gate, reason);
    say(lease, reason, detail);
}

static void act(struct lease *lease, int64_t asked_us, const struct db_result *result)
{
    size_t head = head_of(result), rows = db_result_rows(result);
    const char *clock = rows > 0 ? db_result_text(result, head, CLOCK) : NULL;
    int64_t clock_us = clock ? strtoll(clock, NULL, 10) : 0;
    struct lease_answer answer = {.asked_us = asked_us};

    if (clock)
        answer = (struct lease_answer){
            .asked_us = asked_us,
            .snapshot = db_result_text(result, head, SNAPSHOT),
            .server = db_result_text(result, head, SERVER),
            .backend = db_result_text(result, head, BACKEND),
            .in_recovery = db_result_true(result, head, IN_RECOVERY),
            .changes = rows - 1,
        };
    enum lease_verdict verdict = lease_rules_judge(&lease->rules, &answer);
    if (verdict == LEASE_FOLLOW)
        drop_rows(lease->cache, result);
    else
        cache_drop_all(lease->cache);
    if (verdict == LEASE_STANDBY) {
        close_gate(lease, CACHE_STANDBY, "");
    } else if (verdict == LEASE_UNSUPPORTED) {
        close_gate(lease, CACHE_UNSUPPORTED, "");
    } else {
        cache_gate_open(lease->gate, asked_us, answer.server, clock_us);
        say(lease, CACHE_ON, "");
    }
}

static void poll_once(struct lease *lease)
{
    int64_t asked_us = cache_gate_ask(lease->gate);
    const char *since = lease_rules_since(&lease->rules, asked_us);
    struct error err = {.code = ERROR_NONE};
    struct db_result *result =
        db_execute(lease->db, &statement, (struct db_parameter[]){{since, 0}}, &err);

    if (result)
        act(lease, asked_us, result);
    else
        close_gate(lease, error_is_of_storage(&err) ? CACHE_AWAY : CACHE_UNSUPPORTED,
                   err.detail);
    db_result_free(result);
}

static void *follow(void *context)
{
    struct lease *lease = context;

    do {
        poll_once(lease);
    } while (cache_gate_rest(lease->gate));
    return NULL;
}

/* Signals are for the thread that waits for them. */
static bool start_thread(struct lease *lease)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    errno = pthread_create(&lease->thread, NULL, follow, lease);
    int fault = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = fault;
    return fault == 0;
}

struct lease *lease_start(struct db *db, struct cache *cache, struct error *err)
{
    struct lease *lease = calloc(1, sizeof *lease);

    if (!lease) {
        error_exhausted(err);
        return NULL;
    }
    *lease = (struct lease){.db = db, .cache = cache, .gate = cache_gate(cache), .told = CACHE_STARTING};
    lease_rules_init(&lease->rules);
    if (start_thread(lease))
        return lease;
    error_set(err, ERROR_EXHAUSTED, "cannot make a thread: %s", strerror(errno));
    free(lease);
    return NULL;
}

void lease_stop(struct lease *lease)
{
    if (!lease)
        return;
    cache_gate_stop(lease->gate);
    pthread_join(lease->thread, NULL);
    lease_rules_fini(&lease->rules);
    free(lease);
}
