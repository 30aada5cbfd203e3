#!/usr/bin/python3
"""What clients look at before they log in: health, seal-status, init, leader, the mounts. For
anybody, in Vault's shape, with what PostgreSQL does beneath."""
import re
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import BAD_TOKEN, CATALOG, CONTAINER, NO_TOKEN, stack  # noqa: E402
from processes import wait_for  # noqa: E402

HEALTH, SEAL, INIT, LEADER, MOUNTS = (
    f"/v1/sys/{end}" for end in ("health", "seal-status", "init", "leader", "internal/ui/mounts"))
VERSION = "2.1.0+runtime-catalog"

# Keys in their order, with what stands behind them; a type where only that is known.
BODIES = {
    HEALTH: {"initialized": True, "sealed": False, "standby": False, "performance_standby": False,
             "replication_performance_mode": "disabled", "replication_dr_mode": "disabled", "server_time_utc": int,
             "version": VERSION, "enterprise": False, "echo_duration_ms": 0, "clock_skew_ms": 0,
             "replication_primary_canary_age_ms": 0, "removed_from_cluster": False, "ha_connection_healthy": True,
             "storage": "available", "cache": "on"},
    SEAL: {"type": "shamir", "initialized": True, "sealed": False, "t": 1, "n": 1, "progress": 0, "nonce": "",
           "version": VERSION, "build_date": "", "migration": False, "recovery_seal": False, "storage_type": "postgresql"},
    INIT: {"initialized": True},
    LEADER: {"ha_enabled": False, "is_self": False, "active_time": "0001-01-01T00:00:00Z", "leader_address": "",
             "leader_cluster_address": "", "performance_standby": False, "performance_standby_last_remote_wal": 0},
    MOUNTS: {"request_id": str, "lease_id": "", "renewable": False, "lease_duration": 0, "data": {"auth": {}, "secret": {}},
             "wrap_info": None, "warnings": None, "auth": None, "mount_type": ""},
}
STANDBY = {**BODIES[HEALTH], "standby": True, "storage": "standby", "cache": "off: the server is in recovery"}
AWAY = {**BODIES[HEALTH], "storage": "not available", "cache": "off: storage is not available"}
UNFIT = {**BODIES[HEALTH], "storage": "schema does not fit"}

# A query of health: the status on a primary, on a standby, without PostgreSQL. 400 has no text.
QUERIES = [
    ("", 200, 429, 503),
    ("activecode=299", 299, 429, 503),
    ("activecode=204", 204, 429, 503),
    ("activecode=472", 472, 429, 503),
    ("standbycode=299", 200, 299, 503),
    ("standbyok=true", 200, 200, 503),
    ("standbyok=1&activecode=202", 202, 202, 503),
    ("standbyok=false", 200, 429, 503),
    ("standbyok=", 200, 429, 503),
    ("perfstandbyok=true", 200, 429, 503),
    ("sealedcode=299&uninitcode=299&drsecondarycode=299&performancestandbycode=299&haunhealthycode=299&removedcode=299",
     200, 429, 503),
    ("activecode=201&activecode=202", 201, 429, 503),
    ("colour=red", 200, 429, 503),
    *((query, 400, 400, 400) for query in (
        "activecode=", "activecode=abc", "activecode=99", "activecode=100", "activecode=0x12C", "activecode=600", "activecode=2000",
        "activecode=200.5", "activecode=-200", "activecode=x&activecode=200", "standbycode=x", "sealedcode=x", "uninitcode=x",
        "drsecondarycode=x", "performancestandbycode=x", "haunhealthycode=x", "removedcode=x", "standbyok=perhaps", "perfstandbyok=perhaps")),
]
METHODS = ["HEAD", "POST", "PUT", "DELETE", "PATCH", "LIST", "OPTIONS", "FROB"]
PREFLIGHT = [("secret/foo", "secret/foo/"), ("secret/", "secret/"), ("sys/health", "sys/health/"), ("a%20b%22c", 'a b\\"c/')]


def faults(response, status, body):
    """What is not as it should be about an answer: keys in order, values, types."""
    if response.status != status:
        yield f"the status is not {status}"
    if status in (204, 304):
        return
    got = response.json if isinstance(response.json, dict) else {}
    if list(got) != list(body):
        yield f"the keys are {list(got)}"
    for key, value in body.items():
        if not (isinstance(got.get(key), value) if isinstance(value, type) else got.get(key) == value):
            yield f"{key} is {got.get(key)!r}"


def check(s, name, response, status, body):
    wrong = [*faults(response, status, body), *(f"{key}: {response.values(key)}" for key, value in (
        ("Content-Type", "application/json"), ("Cache-Control", "no-store"),
        ("Retry-After", "1" if status == 503 else None)) if response.header(key) != value)]
    s.tap.ok(not wrong, name, *wrong, response)


def check_health(s, state, column, body):
    """Every query, with GET and with HEAD, which says the same without a body."""
    for query, *statuses in QUERIES:
        status = statuses[column]
        path = f"{HEALTH}?{query}" if query else HEALTH
        check(s, f"{state}: GET health?{query[:40]}", s.request("GET", path, token=None), status,
              {"errors": []} if status == 400 else body)
        head = s.request("HEAD", path, token=None)
        s.tap.ok(head.status == status and not head.body and head.header("Content-Type") == "application/json",
                 f"{state}: HEAD health?{query[:40]}", head)


def check_bodies(s, bodies, state):
    """Nobody looks for a token, but at the mounts for one that is sent."""
    for path, body in bodies.items():
        for token, name in ((None, "no token"), ("hvs.unknown", "a bad token"), (s.token("default"), "a token"), (s.root_token, "root's")):
            response = s.request("GET", path, token=token)
            if path == MOUNTS and token == "hvs.unknown":
                s.answer(f"{state}: {path} with {name}", response, 403, errors=[BAD_TOKEN])
            else:
                check(s, f"{state}: {path} with {name}", response, 200, body)


def check_methods(s):
    for path in BODIES:
        for method in METHODS:
            if (method, path) == ("HEAD", HEALTH):
                continue
            headers = [("Content-Type", "application/merge-patch+json")] if method == "PATCH" else []
            response = s.request(method, path, headers=headers, token=None)
            errors = [] if path != MOUNTS or method == "FROB" else ["unsupported operation"]
            status = 405
            if method == "LIST": # it asks for a path that ends in a slash, which is another
                status, errors = (403, [NO_TOKEN])
            wrong = [] if response.status == status else [f"the status is not {status}"]
            wrong += [] if method == "HEAD" or response.json == {"errors": errors} else [f"the errors are not {errors}"]
            s.tap.ok(not wrong, f"{method} {path}: {status}", *wrong, response)


METHODS_PLAN = len(BODIES) * len(METHODS) - 1


def check_preflight(s):
    """What `vault kv` asks of a path's mount: 403, and no word about what there is."""
    for path, named in PREFLIGHT:
        text = f'preflight capability check returned 403, please ensure client\'s policies grant access to path "{named}"'
        for token, name, errors in ((s.root_token, "root", [text.replace('\\"', '"')]), (s.token("default"), "a token", [text.replace('\\"', '"')]),
                                    (None, "no token", [NO_TOKEN]), ("hvs.unknown", "a bad token", [BAD_TOKEN])):
            s.answer(f"the mount of {path} with {name}", s.request("GET", f"{MOUNTS}/{path}", token=token), 403, errors=errors)
    s.answer("and nothing else of it", s.request("PUT", f"{MOUNTS}/secret", {}), 405, errors=["unsupported operation"])


PREFLIGHT_PLAN = 4 * len(PREFLIGHT) + 1


# Where the site that stands alone ends: path, status, error.
SITE = [
    *((path, 404, "no handler for this path") for path in ("/", "/v1", "/ui/", "/v2/sys/health", "/runtime-catalog-error")),
    ("/v1/", 403, NO_TOKEN), ("/v1/elsewhere", 403, NO_TOKEN), ("/v1/sys/x/../health", 400, "path: must be canonical, without //, /./ and /../"),
]


def check_site(s):
    for path, status, text in SITE:
        s.answer(f"{path} is {status}", s.request("GET", path, token=None), status, errors=[text])
    s.answer("a mount that is not there", s.request("GET", "/v1/elsewhere"), 404,
             errors=['no handler for route "elsewhere". route entry not found.'])
    s.answer("nginx's own limit, anywhere below /v1/", s.request("PUT", "/v1/sys/policies/acl/p", "x" * (2**20 + 1)), 413,
             errors=["http: request body too large"])


def restart(s, change):
    s.cluster.stop()
    change()
    s.cluster.start()


def await_health(s, body, what):
    """Waits until health says of the storage, and of what is remembered of it, what the body has."""
    wanted = [body["storage"], body["cache"]]
    wait_for(lambda: [s.request("GET", HEALTH, token=None).key(key) for key in ("storage", "cache")] == wanted, 20, what)


def main():
    plan = 3 * 2 * len(QUERIES) + 4 * len(BODIES) + METHODS_PLAN + PREFLIGHT_PLAN + len(SITE) + 2 + 4 + 12
    with stack(plan=plan, site="stand-alone") as s:
        s.expect("nginx", "intended to send too large body")
        s.register("a")
        signal_file = s.cluster.data / "standby.signal"
        check_health(s, "primary", 0, BODIES[HEALTH])
        check_bodies(s, BODIES, "primary")
        check_methods(s)
        check_preflight(s)
        check_site(s)
        seen = s.request("GET", HEALTH, token=None).key("server_time_utc")
        now = int(s.cluster.sql("SELECT extract(epoch FROM now())::bigint"))
        s.tap.ok(abs(now - seen) <= 2, "server_time_utc is the time", now, seen)

        s.expect("worker", "STORAGE_AWAY", "(?i)connect|storage|database|recovery|read-only|schema|standby")
        s.expect("postgresql", "FATAL:  terminating connection due to (administrator command|unexpected)",
                 "FATAL:  the database system is (shutting down|starting up|not yet accepting)", "FATAL:  connection to client lost")
        restart(s, signal_file.touch)
        await_health(s, STANDBY, "the standby is there")
        check_health(s, "standby", 1, STANDBY)
        s.answer("standby: reading goes on", s.request("GET", CONTAINER + "a"), 200)
        s.answer("standby: writing does not, and nobody is told that it did", s.request("PUT", CONTAINER + "b"), 503, like="storage")
        s.answer("standby: nor was it done", s.request("GET", CONTAINER + "b"), 404)
        restart(s, signal_file.unlink)
        await_health(s, BODIES[HEALTH], "the primary is back")

        for statement in ("ALTER TABLE runtime_catalog.runtime %s TRIGGER runtime_records",
                          "UPDATE runtime_catalog.schema_version SET oldest_worker = '%s' WHERE version = (SELECT max(version)"
                          " FROM runtime_catalog.schema_version)"):
            bad, good = ("DISABLE", "ENABLE ALWAYS") if "TRIGGER" in statement else ("99.0.0", "0.1.0")
            s.cluster.sql(statement % bad)
            check(s, f"a schema that does not fit: {bad}", s.request("GET", HEALTH, token=None), 503, UNFIT)
            s.cluster.sql(statement % good)
            check(s, "and does again", s.request("GET", HEALTH, token=None), 200, BODIES[HEALTH])

        s.cluster.stop()
        await_health(s, AWAY, "the storage is away")
        check_health(s, "PostgreSQL stopped", 2, AWAY)
        for path in (SEAL, INIT, LEADER):
            check(s, f"PostgreSQL stopped: {path} is as before", s.request("GET", path, token=None), 200, BODIES[path])
        check(s, "PostgreSQL stopped: the mounts without a token, too", s.request("GET", MOUNTS, token=None), 200, BODIES[MOUNTS])
        s.answer("PostgreSQL stopped: with one nobody knows", s.request("GET", MOUNTS), 503, like="storage")
        s.answer("PostgreSQL stopped: the catalog says the same", s.request("GET", CATALOG), 503, like="storage")
        s.cluster.start()
        await_health(s, BODIES[HEALTH], "the storage is back")
        check(s, "PostgreSQL started: health", s.request("GET", HEALTH, token=None), 200, BODIES[HEALTH])
        uuid = s.request("GET", MOUNTS, token=None).key("request_id")
        s.tap.ok(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uuid), "the mounts have a request's id", uuid)


main()
