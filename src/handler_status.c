/* SPDX-License-Identifier: MIT */
#include "handler_status.h"

#include "arena.h"
#include "cache_gate.h"
#include "handler.h"
#include "request.h"
#include "response.h"
#include "route.h"
#include "schema.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A body without an envelope. */
static bool answer(struct call *call, unsigned status, json_t *body, struct error *err)
{
    call->response->is_bare = true;
    call->response->status = status;
    call->response->data = body;
    return body || error_exhausted(err);
}

/* "2.1.0+runtime-catalog": programs look at the first part, people at the second. */
static const char *version(const struct call *call)
{
    const char *text = arena_format(call->arena, "%s+runtime-catalog", call->api_version);

    return text ? text : "";
}

/* The first value of a parameter; NULL: not given. */
static const char *value_of(const struct call *call, const char *parameter)
{
    const json_t *value = json_object_get(call->request->data, parameter);

    return json_string_value(json_is_array(value) ? json_array_get(value, 0) : value);
}

/* A status that the client asks for instead of the usual one; 1xx would be none. Vault says no
 * more than 400. */
static bool read_code(const struct call *call, const char *parameter, unsigned *status,
                      struct error *err)
{
    const char *text = value_of(call, parameter);
    bool good = text && strlen(text) == 3 && strspn(text, "0123456789") == 3 &&
                strchr("2345", *text);

    if (!text)
        return true;
    if (!good)
        return error_set(err, ERROR_BAD_REQUEST, "%s", "");
    *status = (unsigned)strtoul(text, NULL, 10);
    return true;
}

static bool read_wish(const struct call *call, const char *parameter, bool *wish,
                      struct error *err)
{
    const char *text = value_of(call, parameter);

    return !text || !*text || text_parse_bool(text, wish) ||
           error_set(err, ERROR_BAD_REQUEST, "%s", "");
}

/* What a client asks of health. Codes of states that there are not must be codes all the same. */
struct wishes {
    unsigned active, standby;
    bool standby_is_good;
};

static bool read_wishes(const struct call *call, struct wishes *wishes, struct error *err)
{
    static const char *const others[] = {"sealedcode",      "uninitcode",
                                         "drsecondarycode", "performancestandbycode",
                                         "haunhealthycode", "removedcode"};
    unsigned ignored_code;
    bool ignored_wish, good = true;

    *wishes = (struct wishes){.active = 200, .standby = 429};
    for (size_t i = 0; good && i < sizeof others / sizeof *others; i++)
        good = read_code(call, others[i], &ignored_code, err);
    return good && read_code(call, "activecode", &wishes->active, err) &&
           read_code(call, "standbycode", &wishes->standby, err) &&
           read_wish(call, "standbyok", &wishes->standby_is_good, err) &&
           read_wish(call, "perfstandbyok", &ignored_wish, err);
}

/* Whether memory answers, asked as a request would ask. */
static const char *cache_text(const struct call *call)
{
    struct cache_gate *gate = cache_gate(call->credential->cache);
    struct cache_view view;

    cache_gate_enter(gate, &view);
    return cache_state_name(cache_gate_state(gate));
}

bool handler_status_health(struct call *call, struct error *err)
{
    struct wishes wishes;
    unsigned status = 503;

    if (call->match->operation == OPERATION_NONE &&
        strcmp(call->request->parameters.method, "HEAD") != 0)
        return error_set(err, ERROR_UNSUPPORTED_OPERATION, "%s", "");
    if (!read_wishes(call, &wishes, err))
        return false;
    enum schema_state state = schema_health(call->db);
    bool stands_by = state == SCHEMA_STANDBY || state == SCHEMA_READ_ONLY;
    if (state == SCHEMA_GOOD || (stands_by && wishes.standby_is_good))
        status = wishes.active;
    else if (stands_by)
        status = wishes.standby;
    return answer(call, status,
                  json_pack("{s:b, s:b, s:b, s:b, s:s, s:s, s:I, s:s, s:b, s:i, s:i, s:i, s:b, "
                            "s:b, s:s, s:s}",                                  //
                            "initialized", 1,                                  //
                            "sealed", 0,                                       //
                            "standby", stands_by,                              //
                            "performance_standby", 0,                          //
                            "replication_performance_mode", "disabled",        //
                            "replication_dr_mode", "disabled",                 //
                            "server_time_utc", (json_int_t)time(NULL),         //
                            "version", version(call),                          //
                            "enterprise", 0,                                   //
                            "echo_duration_ms", 0,                             //
                            "clock_skew_ms", 0,                                //
                            "replication_primary_canary_age_ms", 0,            //
                            "removed_from_cluster", 0,                         //
                            "ha_connection_healthy", 1,                        //
                            "storage", schema_state_name(state),               //
                            "cache", cache_text(call)),
                  err);
}

bool handler_status_seal(struct call *call, struct error *err)
{
    return answer(call, 0,
                  json_pack("{s:s, s:b, s:b, s:i, s:i, s:i, s:s, s:s, s:s, s:b, s:b, s:s}", //
                            "type", "shamir",                                             //
                            "initialized", 1,                                             //
                            "sealed", 0,                                                  //
                            "t", 1,                                                       //
                            "n", 1,                                                       //
                            "progress", 0,                                                //
                            "nonce", "",                                                  //
                            "version", version(call),                                     //
                            "build_date", "",                                             //
                            "migration", 0,                                               //
                            "recovery_seal", 0,                                           //
                            "storage_type", "postgresql"),
                  err);
}

bool handler_status_init(struct call *call, struct error *err)
{
    return answer(call, 0, json_pack("{s:b}", "initialized", 1), err);
}

bool handler_status_leader(struct call *call, struct error *err)
{
    return answer(call, 0,
                  json_pack("{s:b, s:b, s:s, s:s, s:s, s:b, s:i}",      //
                            "ha_enabled", 0,                            //
                            "is_self", 0,                               //
                            "active_time", "0001-01-01T00:00:00Z",      //
                            "leader_address", "",                       //
                            "leader_cluster_address", "",               //
                            "performance_standby", 0,                   //
                            "performance_standby_last_remote_wal", 0),
                  err);
}

/* The mounts that there are, sys/ and auth/token/, show themselves to nobody: they are none that
 * a client lets people choose from. */
bool handler_status_mounts(struct call *call, struct error *err)
{
    call->response->data = json_pack("{s:{}, s:{}}", "auth", "secret");
    return call->response->data || error_exhausted(err);
}

/* What `vault kv` asks first. None of its engines is here, and Vault tells an unknown mount from
 * one that the policies hide by nothing. */
bool handler_status_mount(struct call *call, struct error *err)
{
    const char *path = call->match->name + strspn(call->match->name, "/");
    size_t length = strlen(path);

    return error_set(err, ERROR_PERMISSION_DENIED,
                     "preflight capability check returned 403, please ensure client's policies "
                     "grant access to path \"%s%s\"",
                     path, length > 0 && path[length - 1] == '/' ? "" : "/");
}
