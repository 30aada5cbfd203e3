/* SPDX-License-Identifier: MIT
 *
 * One walk over what there is writes either format, so that both say the same.
 */
#include "handler_metrics.h"

#include "arena.h"
#include "cache.h"
#include "cache_gate.h"
#include "connections.h"
#include "db.h"
#include "handler.h"
#include "metrics.h"
#include "metrics_sheet.h"
#include "process.h"
#include "request.h"
#include "response.h"
#include "route.h"
#include "text.h"

#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char prometheus_type[] = "text/plain; version=0.0.4; charset=utf-8";

/* What is one number each. NAN: not known, and not shown. */
struct facts {
    double unsealed, in_flight, connections;
    double request_failures, response_failures;
    double allocated, obtained;
    double cpu, started, resident, virtual_size, threads;
    double pool_size, pool_busy, pool_waiting, pool_waited, pool_errors;
    double cache_on, hits, misses, landed, late, evicted, dropped_all, entries, bytes,
        lease_age;
};

static const struct fact {
    const char *name;
    enum metrics_kind kind;
    const char *help;
    size_t offset;
} facts_table[] = {
#define X(name, kind, member, help) {name, kind, help, offsetof(struct facts, member)}
    X("vault.core.unsealed", METRICS_GAUGE, unsealed,
      "Whether requests are served: there is no seal."),
    X("vault.core.in_flight_requests", METRICS_GAUGE, in_flight,
      "Requests that are being served."),
    X("vault.audit.log_request_failure", METRICS_COUNTER, request_failures,
      "Requests that were refused because they could not be recorded."),
    X("vault.audit.log_response_failure", METRICS_COUNTER, response_failures,
      "Answers that were withheld because they could not be recorded."),
    X("vault.runtime.alloc_bytes", METRICS_GAUGE, allocated,
      "Memory that is in use, as malloc has it."),
    X("vault.runtime.sys_bytes", METRICS_GAUGE, obtained,
      "Memory that malloc has obtained."),
    X("process_cpu_seconds_total", METRICS_COUNTER, cpu, "Processor time that was used."),
    X("process_start_time_seconds", METRICS_GAUGE, started,
      "When the process started, since 1970."),
    X("process_resident_memory_bytes", METRICS_GAUGE, resident, "Resident memory."),
    X("process_virtual_memory_bytes", METRICS_GAUGE, virtual_size, "Virtual memory."),
    X("process_threads", METRICS_GAUGE, threads, "Threads."),
    X("runtime_catalog.connections", METRICS_GAUGE, connections,
      "Open connections of the web server."),
    X("runtime_catalog.pool.size", METRICS_GAUGE, pool_size,
      "Connections to PostgreSQL for requests."),
    X("runtime_catalog.pool.busy", METRICS_GAUGE, pool_busy,
      "Those of them that are in use."),
    X("runtime_catalog.pool.waiting", METRICS_GAUGE, pool_waiting,
      "Requests that wait for one."),
    X("runtime_catalog.pool.waited.total", METRICS_COUNTER, pool_waited,
      "Statements that had to wait for a connection."),
    X("runtime_catalog.pool.errors.total", METRICS_COUNTER, pool_errors,
      "Statements that PostgreSQL did not answer, or failed at."),
    X("runtime_catalog.cache.enabled", METRICS_GAUGE, cache_on,
      "Whether memory answers."),
    X("runtime_catalog.cache.hits.total", METRICS_COUNTER, hits,
      "Lookups that found an entry."),
    X("runtime_catalog.cache.misses.total", METRICS_COUNTER, misses,
      "Lookups that found none."),
    X("runtime_catalog.cache.landed.total", METRICS_COUNTER, landed,
      "Entries that were kept."),
    X("runtime_catalog.cache.late.total", METRICS_COUNTER, late,
      "Entries that were not kept, because something had changed meanwhile."),
    X("runtime_catalog.cache.evictions.total", METRICS_COUNTER, evicted,
      "Entries that went to make room."),
    X("runtime_catalog.cache.resets.total", METRICS_COUNTER, dropped_all,
      "How often everything was dropped."),
    X("runtime_catalog.cache.entries", METRICS_GAUGE, entries, "Entries."),
    X("runtime_catalog.cache.bytes", METRICS_GAUGE, bytes, "Memory of all entries."),
    X("runtime_catalog.lease.age.seconds", METRICS_GAUGE, lease_age,
      "Time since PostgreSQL was asked what changed, as far as it answered."),
#undef X
};

/* What is said, and of what. */
struct report {
    struct metrics_sheet sheet;
    struct call *call;
    struct facts facts;
};

/* --- requests */

/* Visits what requests there were, by row of the route table and by operation. route
 * NULL: those that fit none. */
typedef void visitor(struct report *report, const struct route *route,
                     enum operation operation, const struct metrics_requests *requests,
                     void *context);

static void visit(struct report *report, visitor *look, void *context)
{
    size_t count;
    const struct route *rows = route_rows(&count);
    struct metrics_requests requests;

    for (size_t i = 0; i <= count; i++) {
        for (int operation = 0; operation < OPERATION_MAX; operation++) {
            metrics_requests(i < count ? i : METRICS_NO_ROUTE, (enum operation)operation,
                             &requests);
            if (requests.times.count > 0)
                look(report, i < count ? &rows[i] : NULL, (enum operation)operation,
                     &requests, context);
        }
    }
}

static const char *template_of(const struct route *route)
{
    return route ? route->path : "none";
}

static void put_statuses(struct report *report, const struct route *route,
                         enum operation operation,
                         const struct metrics_requests *requests, void *context)
{
    (void)context;
    for (size_t i = 0; i < METRICS_STATUS_COUNT; i++) {
        char status[12] = "other";
        const struct metrics_label labels[] = {{"operation", operation_name(operation)},
                                               {"path", template_of(route)},
                                               {"status", status},
                                               {NULL, NULL}};
        if (requests->statuses[i] == 0)
            continue;
        if (metrics_statuses[i] > 0)
            text_format(status, sizeof status, "%u", metrics_statuses[i]);
        metrics_sheet_number(&report->sheet, labels, (double)requests->statuses[i]);
    }
}

static void put_requests(struct report *report)
{
    visit(report, put_statuses, NULL);
}

static void put_duration(struct report *report, const struct route *route,
                         enum operation operation,
                         const struct metrics_requests *requests, void *context)
{
    const struct metrics_label labels[] = {{"operation", operation_name(operation)},
                                           {"path", template_of(route)},
                                           {NULL, NULL}};

    (void)context;
    metrics_sheet_times(&report->sheet, labels, &requests->times);
}

static void put_durations(struct report *report)
{
    visit(report, put_duration, NULL);
}

static void add_all(struct report *report, const struct route *route,
                    enum operation operation, const struct metrics_requests *requests,
                    void *context)
{
    (void)report;
    (void)route;
    (void)operation;
    metrics_add(context, &requests->times);
}

static void put_handle_request(struct report *report)
{
    struct metrics_times all = {.count = 0};

    visit(report, add_all, &all);
    metrics_sheet_times(&report->sheet, NULL, &all);
}

/* What Vault mounts there, and how it calls that. */
static const struct {
    const char *point, *name;
} mounts[] = {{"sys/", "sys-"}, {"auth/token/", "auth-token-"}};

enum { MOUNTS = sizeof mounts / sizeof *mounts };

struct mount_times {
    struct metrics_times of[MOUNTS][OPERATION_MAX];
};

static void add_to_mount(struct report *report, const struct route *route,
                         enum operation operation,
                         const struct metrics_requests *requests, void *context)
{
    struct mount_times *times = context;

    (void)report;
    for (size_t i = 0; route && i < MOUNTS; i++) {
        if (text_starts_with(route->path, mounts[i].point))
            metrics_add(&times->of[i][operation], &requests->times);
    }
}

/* Vault's vault.route.read.sys-: the name says it all. */
static void put_routes(struct report *report)
{
    struct mount_times times = {.of = {{{.count = 0}}}};
    const char *help = report->sheet.help;
    char name[64];

    visit(report, add_to_mount, &times);
    for (size_t i = 0; i < MOUNTS; i++) {
        for (int operation = 0; operation < OPERATION_MAX; operation++) {
            if (times.of[i][operation].count == 0)
                continue;
            text_format(name, sizeof name, "vault.route.%s.%s",
                        operation_name((enum operation)operation), mounts[i].name);
            metrics_sheet_begin(&report->sheet, name, METRICS_SUMMARY, help);
            metrics_sheet_times(&report->sheet, NULL, &times.of[i][operation]);
        }
    }
}

/* --- the rest */

static void put_audit(struct report *report, enum metrics_timer timer)
{
    struct metrics_times times;

    metrics_timer(timer, &times);
    metrics_sheet_times(&report->sheet, NULL, &times);
}

static void put_audit_requests(struct report *report)
{
    put_audit(report, METRICS_AUDIT_REQUEST);
}

static void put_audit_responses(struct report *report)
{
    put_audit(report, METRICS_AUDIT_RESPONSE);
}

/* All that there are, so that whoever waits for one finds it. */
static void put_states(struct report *report)
{
    enum cache_state now = cache_gate_state(cache_gate(report->call->credential->cache));

    for (int state = CACHE_ON; state < CACHE_STATE_MAX; state++) {
        const struct metrics_label labels[] = {
            {"state", cache_state_name((enum cache_state)state)}, {NULL, NULL}};
        metrics_sheet_number(&report->sheet, labels, state == (int)now);
    }
}

static void put_build(struct report *report)
{
    const struct metrics_label labels[] = {{"api_version", report->call->api_version},
                                           {"version", VERSION_TEXT},
                                           {NULL, NULL}};

    metrics_sheet_number(&report->sheet, labels, 1);
}

/* What is more than one number. */
static const struct family {
    const char *name;
    enum metrics_kind kind;
    const char *help;
    void (*put)(struct report *report);
} families[] = {
    {"vault.core.handle_request", METRICS_SUMMARY,
     "Milliseconds that requests took, all of them.", put_handle_request},
    {"vault.route", METRICS_SUMMARY,
     "Milliseconds that requests of one operation took at one mount.", put_routes},
    {"vault.audit.log_request", METRICS_SUMMARY,
     "Milliseconds that a record of a request took.", put_audit_requests},
    {"vault.audit.log_response", METRICS_SUMMARY,
     "Milliseconds that a record of an answer took.", put_audit_responses},
    {"runtime_catalog.requests.total", METRICS_COUNTER,
     "Requests by operation, path of the route and status.", put_requests},
    {"runtime_catalog.request.duration.seconds", METRICS_HISTOGRAM,
     "How long requests took in the worker, by operation and path of the route.",
     put_durations},
    {"runtime_catalog.cache.state", METRICS_GAUGE,
     "1 for what is the case: that memory answers, or why not.", put_states},
    {"runtime_catalog.build.info", METRICS_GAUGE, "1, with the versions.", put_build},
};

static void gather_process(struct report *report)
{
    struct facts *facts = &report->facts;
    struct process_usage usage;
    struct mallinfo2 memory = mallinfo2();

    facts->allocated = (double)(memory.uordblks + memory.hblkhd);
    facts->obtained = (double)(memory.arena + memory.hblkhd);
    facts->cpu = facts->started = facts->resident = facts->virtual_size = facts->threads =
        NAN;
    if (!process_usage(&usage))
        return;
    facts->cpu = usage.cpu_seconds;
    facts->started = usage.started;
    facts->resident = (double)usage.resident_bytes;
    facts->virtual_size = (double)usage.virtual_bytes;
    facts->threads = usage.threads;
    report->sheet.seconds = (double)time(NULL) - usage.started;
}

static void gather_pool(struct facts *facts, struct db *db)
{
    struct db_counts counts;

    db_count(db, &counts);
    facts->pool_size = counts.connections;
    facts->pool_busy = counts.busy;
    facts->pool_waiting = counts.waiting;
    facts->pool_waited = (double)counts.waited;
    facts->pool_errors = (double)counts.errors;
}

/* The gate is asked as a request would ask, or it might rest on what was the case long
 * ago. */
static void gather_cache(struct facts *facts, struct cache *cache)
{
    struct cache_gate *gate = cache_gate(cache);
    struct cache_counts counts;
    struct cache_view view;

    cache_gate_enter(gate, &view);
    cache_count(cache, &counts);
    int64_t age_ms = cache_gate_age_ms(gate);
    facts->cache_on = cache_gate_state(gate) == CACHE_ON;
    facts->hits = (double)counts.hits;
    facts->misses = (double)counts.misses;
    facts->landed = (double)counts.landed;
    facts->late = (double)counts.late;
    facts->evicted = (double)counts.evicted;
    facts->dropped_all = (double)counts.dropped_all;
    facts->entries = (double)counts.entries;
    facts->bytes = (double)counts.bytes;
    facts->lease_age = age_ms < 0 ? NAN : (double)age_ms / 1000;
}

static void gather(struct report *report)
{
    const struct call *call = report->call;

    report->facts.unsealed = 1;
    report->facts.in_flight = connections_served(call->connections);
    report->facts.connections = connections_count(call->connections);
    report->facts.request_failures = (double)metrics_failures(METRICS_AUDIT_REQUEST);
    report->facts.response_failures = (double)metrics_failures(METRICS_AUDIT_RESPONSE);
    gather_process(report);
    gather_pool(&report->facts, call->db);
    gather_cache(&report->facts, call->credential->cache);
}

/* Writes what is of one of the kinds from the first to the last. */
static void write_kinds(struct report *report, enum metrics_kind first,
                        enum metrics_kind last)
{
    for (size_t i = 0; i < sizeof facts_table / sizeof *facts_table; i++) {
        const struct fact *fact = &facts_table[i];
        double number;
        memcpy(&number, (const char *)&report->facts + fact->offset, sizeof number);
        if (fact->kind < first || fact->kind > last || isnan(number))
            continue;
        metrics_sheet_begin(&report->sheet, fact->name, fact->kind, fact->help);
        metrics_sheet_number(&report->sheet, NULL, number);
    }
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        const struct family *family = &families[i];
        if (family->kind < first || family->kind > last)
            continue;
        metrics_sheet_begin(&report->sheet, family->name, family->kind, family->help);
        family->put(report);
    }
}

static void write_list(struct report *report, const char *name, enum metrics_kind first,
                       enum metrics_kind last)
{
    metrics_sheet_open(&report->sheet, name);
    write_kinds(report, first, last);
    metrics_sheet_close(&report->sheet);
}

/* As DisplayMetrics() of go-metrics. Points, which have no aggregation, there are none.
 */
static void write_json(struct report *report)
{
    FILE *out = report->sheet.out;
    char now[32];
    time_t seconds = time(NULL);
    struct tm parts;

    strftime(now, sizeof now, "%Y-%m-%d %H:%M:%S", gmtime_r(&seconds, &parts));
    fprintf(out, "{\"Timestamp\":\"%s +0000 UTC\",", now);
    write_list(report, "Gauges", METRICS_GAUGE, METRICS_GAUGE);
    fputs(",\"Points\":[],", out);
    write_list(report, "Counters", METRICS_COUNTER, METRICS_COUNTER);
    putc(',', out);
    write_list(report, "Samples", METRICS_SUMMARY, METRICS_HISTOGRAM);
    fputs("}\n", out);
}

static void write_all(struct report *report)
{
    gather(report);
    if (report->sheet.is_prometheus)
        write_kinds(report, METRICS_GAUGE, METRICS_HISTOGRAM);
    else
        write_json(report);
}

static bool answer(struct report *report, struct error *err)
{
    struct response *response = report->call->response;
    char *text = NULL;
    size_t length = 0;

    report->sheet.out = open_memstream(&text, &length);
    if (!report->sheet.out)
        return error_exhausted(err);
    write_all(report);
    bool whole = !ferror(report->sheet.out);
    whole = fclose(report->sheet.out) == 0 && whole;
    response->serialised =
        whole ? arena_strndup(report->call->arena, text, length) : NULL;
    response->serialised_length = length;
    response->is_bare = true;
    response->content_type = report->sheet.is_prometheus ? prometheus_type : NULL;
    free(text);
    return response->serialised || error_exhausted(err);
}

/* What a client wants that names no format: Vault looks at these two as well. */
static bool accepts_prometheus(const char *accept)
{
    return accept && (text_starts_with(accept, "application/openmetrics-text") ||
                      strstr(accept, "prometheus/telemetry"));
}

bool handler_metrics_read(struct call *call, struct error *err)
{
    const struct request *request = call->request;
    const json_t *value = json_object_get(request->data, "format");
    const char *format =
        json_string_value(json_is_array(value) ? json_array_get(value, 0) : value);
    struct report report = {.call = call};

    if (*request->site || *request->named)
        return error_set(err, ERROR_NOT_FOUND, "unsupported path");
    if (!format || !*format)
        report.sheet.is_prometheus = accepts_prometheus(request->parameters.accept);
    else if (strcmp(format, "prometheus") == 0)
        report.sheet.is_prometheus = true;
    else
        return error_set(err, ERROR_BAD_REQUEST,
                         "metric response format \"%.200s\" unknown", format);
    return answer(&report, err);
}
