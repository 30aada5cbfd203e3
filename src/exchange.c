/* SPDX-License-Identifier: MIT */
#include "exchange.h"

#include "arena.h"
#include "audit.h"
#include "authenticate.h"
#include "authorise.h"
#include "error.h"
#include "handler.h"
#include "log.h"
#include "metrics.h"
#include "request.h"
#include "response.h"
#include "route.h"
#include "secret.h"
#include "store_caller.h"
#include "text.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

enum {
    REFUSAL_MS = 2,      /* more than a statement takes on a database that is not busy */
    REPORTED_SIZE = 512, /* bytes of a path in the log, NUL included */
};

/* What the route's handler has to say. A path that leads nowhere is told only here, behind
 * authorise(): without permission one never learns whether a path exists. */
static bool handle(struct call *call, struct error *err)
{
    const struct route_operation *operation =
        route_check(call->match, call->request->path, err);

    if (!operation)
        return false;
    struct response *response = call->response;
    response->mount_type = call->match->route->mount_type;
    if (!operation->handler(call, err))
        return false;
    return response_is_empty(response) || response->is_bare ||
           route_warn(call->match, call->request->data, &response->warnings, call->arena,
                      err);
}

/* The path behind its namespace, of a long one both ends: the line has to have room for what follows
 * it. What has the form of a token is masked first, as half of one has that form no longer. */
static void name_path(char out[static REPORTED_SIZE], const struct request *request,
                      struct arena *arena)
{
    const int head = REPORTED_SIZE * 2 / 3, tail = REPORTED_SIZE - head - 4;
    char *path = request->path ? arena_format(arena, "%s%s%s", request->site, request->named, request->path)
                               : NULL;
    size_t length = path ? strlen(path) : 0;

    if (path)
        secret_mask(path, length);
    if (length < REPORTED_SIZE)
        text_format(out, REPORTED_SIZE, "%s", path ? path : "-");
    else
        text_format(out, REPORTED_SIZE, "%.*s...%s", head, path, path + length - tail);
}

/* One place, after the response: the line, with the storage's own words where there are any.
 * The path stands behind its namespace: one log may be that of many sites. While the storage is
 * away every request would have the same to say. */
static void report(const struct request *request, const struct error *err, unsigned status,
                   struct arena *arena)
{
    static struct log_limit limits[ERROR_MAX];
    enum log_level level = err->code == ERROR_NONE ? LOG_LEVEL_DEBUG : error_level(err->code);
    const char *operation = operation_name(request->operation);
    /* A mistake of the web server's is the operator's to read, not only the client's. */
    const char *why = err->code == ERROR_MISCONFIGURED ? err->text : err->detail;
    char path[REPORTED_SIZE], others[48] = "";
    unsigned held;

    if (level == LOG_LEVEL_INFO) /* a client's mistake is the client's to read */
        level = LOG_LEVEL_DEBUG;
    if (error_is_of_storage(err)) {
        level = log_limit(&limits[err->code], level, &held);
        if (held > 0)
            text_format(others, sizeof others, " (and %u requests more)", held);
    }
    name_path(path, request, arena);
    log_write(level, "%s %s: %u%s%s%s%s%s", operation, path, status,
              err->code == ERROR_NONE ? "" : " ", err->code == ERROR_NONE ? "" : error_name(err->code),
              *why ? ": " : "", why, others);
}

/* Whether the route lets the request in. What is known of tokens and objects says nothing once the
 * schema has become one that this program does not work on. */
static bool admit(struct call *call, struct caller *caller, struct credential *credential,
                  const struct error *unfit, struct error *err)
{
    const struct request *request = call->request;
    enum route_access access =
        call->match->route ? call->match->route->access : ROUTE_BY_POLICY;

    if (route_is_open(call->match, call->metrics_to_anybody) || (access == ROUTE_BY_TOKEN_IF_ANY && !request->token))
        return true;
    if (request->token && unfit) {
        *err = *unfit;
        return false;
    }
    return authenticate(caller, credential, &call->object, call->db, call->match, request,
                        call->arena, err) &&
           (access != ROUTE_BY_POLICY ||
            authorise(caller, call->match, request, call->arena, err));
}

static void forget(struct call *call, struct caller *caller)
{
    object_fini(&call->object);
    caller_fini(caller);
    response_fini(call->response);
}

/* Lets the request in. A refusal is never said from memory: then the database is asked. */
static bool enter(struct call *call, struct caller *caller, struct credential *credential,
                  const struct error *unfit, struct error *err)
{
    if (admit(call, caller, credential, unfit, err))
        return true;
    if (!caller->is_remembered)
        return false;
    forget(call, caller);
    credential->asks_database = true;
    return admit(call, caller, credential, unfit, err);
}

/* Has it answered. That something is not there is never said from memory either: then the
 * database is asked all over. What was written is not: that came to a statement of its own. */
static bool answer(struct call *call, struct caller *caller, struct credential *credential,
                   const struct error *unfit, struct error *err)
{
    enum operation operation = call->match->operation;

    if (handle(call, err))
        return true;
    if (!caller->is_remembered || (operation != OPERATION_READ && operation != OPERATION_LIST))
        return false;
    forget(call, caller);
    credential->asks_database = true;
    return admit(call, caller, credential, unfit, err) && handle(call, err);
}

/* Waits until REFUSAL_MS after the request began, or a multiple. authenticate() in SQL does the same
 * for all tokens that it refuses, but for whether it finds a row: who is refused shall not learn
 * that by the time it took either. */
static void leave_alike(int64_t began)
{
    const int64_t step = REFUSAL_MS * INT64_C(1000000), second = 1000000000;
    int64_t until = began + ((metrics_now() - began) / step + 1) * step;
    struct timespec at = {.tv_sec = until / second, .tv_nsec = until % second};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
        ;
}

void exchange_serve(const struct exchange *exchange, const struct input *input,
                    const struct output *output, struct arena *arena)
{
    struct request request;
    struct match match = {.route = NULL};
    struct credential credential = {.cache = exchange->cache};
    struct caller caller = {.known = false};
    struct response response = {.mount_type = ""};
    struct error err;
    struct audit_pair pair;
    int64_t began = metrics_now();
    struct call call = {
        .db = exchange->db,
        .connections = exchange->connections,
        .metrics_to_anybody = exchange->metrics_to_anybody,
        .api_version = exchange->api_version,
        .arena = arena,
        .request = &request,
        .match = &match,
        .credential = &credential,
        .caller = &caller,
        .response = &response,
    };

    error_init(&err);
    bool ok = request_parse(&request, input, exchange->max_request_size, arena, &err);
    log_set_request_id(request.id);
    ok = ok && route_find(&match, request.path, request.operation, arena, &err) &&
         enter(&call, &caller, &credential, exchange->unfit, &err);
    ok = audit_request(exchange->audit, &pair, &call, ok, &err) &&
         answer(&call, &caller, &credential, exchange->unfit, &err);
    ok = audit_response(exchange->audit, &pair, &call, ok, &err);
    bool said = err.code != ERROR_NONE; /* perhaps of a first attempt */
    if (ok)
        error_init(&err);
    if (err.code == ERROR_PERMISSION_DENIED && request.token && !caller.known)
        leave_alike(began);
    unsigned status = response_send(&response, &request, &err, arena, output);
    metrics_request(route_number(match.route), request.operation, status, began);
    report(&request, &err, status, arena);
    log_set_request_id(NULL);

    forget(&call, &caller);
    request_fini(&request);
    if (said)
        secret_wipe(&err, sizeof err); /* it may quote what a client sent for a name */
}
