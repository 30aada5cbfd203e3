/* SPDX-License-Identifier: MIT */
#include "handler_status.h"

#include "arena.h"
#include "field.h"
#include "handler.h"
#include "request.h"
#include "response.h"
#include "route.h"
#include "schema.h"

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

/* A status that the client asks for instead of the usual one. Vault says no more than 400. */
static bool read_code(const struct call *call, const char *parameter, unsigned *status,
                      struct error *err)
{
    int64_t code = 0;
    const json_t *value = json_object_get(call->request->data, parameter);

    if (!value)
        return true;
    if (!field_integer(call->request->data, parameter, &code, err) || code < 100 || code > 599)
        return error_set(err, ERROR_BAD_REQUEST, "%s", "");
    *status = (unsigned)code;
    return true;
}

static bool wants(const struct call *call, const char *parameter)
{
    return json_object_get(call->request->data, parameter) != NULL;
}

bool handler_status_health(struct call *call, struct error *err)
{
    unsigned active = 200, standby = 429, status = 503;

    if (call->match->operation == OPERATION_NONE &&
        strcmp(call->request->parameters.method, "HEAD") != 0)
        return error_set(err, ERROR_UNSUPPORTED_OPERATION, "%s", "");
    if (!read_code(call, "activecode", &active, err) ||
        !read_code(call, "standbycode", &standby, err))
        return false;
    enum schema_state state = schema_health(call->db);
    if (state == SCHEMA_GOOD)
        status = active;
    if (state == SCHEMA_STANDBY)
        status = wants(call, "standbyok") ? active : standby;
    return answer(call, status,
                  json_pack("{s:b, s:b, s:b, s:b, s:s, s:s, s:I, s:s, s:b, s:i, s:i, s:i, s:b, "
                            "s:b, s:s}",                                       //
                            "initialized", 1,                                  //
                            "sealed", 0,                                       //
                            "standby", state == SCHEMA_STANDBY,         //
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
                            "storage", schema_state_name(state)),
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

/* No mount shows itself to who is not known, in Vault as it comes. */
bool handler_status_mounts(struct call *call, struct error *err)
{
    call->response->data = json_pack("{s:{}, s:{}}", "auth", "secret");
    return call->response->data || error_exhausted(err);
}
