#!/usr/bin/python3
"""sys/metrics: after so many requests it says just that, to whom it may, in both formats; what the pool,
the cache and the process are like; and why memory does not answer, which health says as well."""
import collections
import json
import re
import sys
import time

sys.path.append(sys.path[0] + "/../lib")
import exposition  # noqa: E402
import fastcgi  # noqa: E402
import routes  # noqa: E402
from client import Response, UnixConnection  # noqa: E402
from harness import BAD_TOKEN, CATALOG, CHECKOUT, CONTAINER, NO_TOKEN, NOT_ALLOWED, SANE, stack  # noqa: E402
from processes import wait_for  # noqa: E402

METRICS, HEALTH = "/v1/sys/metrics", "/v1/sys/health"
PROMETHEUS = METRICS + "?format=prometheus"
TYPE = "text/plain; version=0.0.4; charset=utf-8"
REQUESTS, DURATION = "runtime_catalog_requests_total", "runtime_catalog_request_duration_seconds"
ITEM, COLLECTION = "sys/plugins/runtimes/catalog/{type}/{name}", "sys/plugins/runtimes/catalog"
ANYBODY = {"listener": "unauthenticated_metrics_access = true"}
EXAMPLE = {"cpu_nanos": 1}

# So many times this: method, path, body, token; counted as operation, path, status.
TABLE = [
    (3, "POST", CONTAINER + "one", EXAMPLE, SANE, ("update", ITEM, "204")),
    (2, "PUT", CONTAINER + "two", EXAMPLE, SANE, ("update", ITEM, "204")),
    (5, "GET", CONTAINER + "one", None, SANE, ("read", ITEM, "200")),
    (4, "GET", CONTAINER + "two", None, SANE, ("read", ITEM, "200")),
    (2, "GET", CONTAINER + "absent", None, SANE, ("read", ITEM, "404")),
    (3, "GET", CONTAINER + "one", None, None, ("read", ITEM, "403")),
    (2, "GET", CONTAINER + "one", None, "hvs.unknown", ("read", ITEM, "403")),
    (2, "POST", CONTAINER + "one", {"cpu_nanos": "x"}, SANE, ("update", ITEM, "400")),
    (1, "DELETE", CONTAINER + "two", None, SANE, ("delete", ITEM, "204")),
    (1, "OPTIONS", CONTAINER + "two", None, SANE, ("none", ITEM, "405")),
    (2, "LIST", CATALOG, None, SANE, ("list", COLLECTION, "200")),
    (3, "GET", CATALOG, None, SANE, ("read", COLLECTION, "200")),
    (2, "GET", CATALOG + "?type=container", None, SANE, ("read", COLLECTION, "200")),
    (2, "GET", CATALOG + "?help=1", None, SANE, ("help", COLLECTION, "200")),
    (3, "GET", "/v1/auth/token/lookup-self", None, SANE, ("read", "auth/token/lookup-self", "200")),
    (2, "GET", "/v1/sys/seal-status", None, None, ("read", "sys/seal-status", "200")),
    (1, "GET", HEALTH + "?activecode=202", None, None, ("read", "sys/health", "202")),
    (1, "GET", HEALTH + "?activecode=299", None, None, ("read", "sys/health", "other")),
    (1, "GET", HEALTH + "?activecode=298", None, None, ("read", "sys/health", "other")),
    # What fits no route: its paths are the client's, and so is their number.
    *((1, "GET", f"/v1/sys/elsewhere/{number}", None, SANE, ("read", "none", "404")) for number in range(5)),
    (1, "GET", "/v1/sys/elsewhere", None, None, ("read", "none", "403")),
    (1, "GET", CATALOG + "/container/%0a", None, SANE, ("read", "none", "400")),
]

# format=…, the header Accept: what comes.
FORMATS = [
    ("prometheus", None, TYPE), ("prometheus", "application/json", TYPE), (None, None, "application/json"), ("", None, "application/json"),
    (None, "*/*", "application/json"), (None, "text/plain", "application/json"),
    (None, "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", TYPE),
    (None, "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily,prometheus/telemetry", TYPE),
    ("", "application/openmetrics-text", TYPE),
]
UNKNOWN_FORMATS = [("json", "json"), ("Prometheus", "Prometheus"), ("prometheus2", "prometheus2"), ("a%20b", "a b"), ("x" * 500, "x" * 200)]

# A policy's rule for sys/metrics, or a policy: what a token with it gets.
RULES = [('capabilities = ["read"]', 200, None), ('capabilities = ["read", "list"]', 200, None), ('capabilities = ["list", "update"]', 403, NOT_ALLOWED),
         ('capabilities = ["deny"]', 403, NOT_ALLOWED), ('capabilities = ["sudo"]', 403, NOT_ALLOWED)]

ROUTES = routes.read()
FILLED = {"type": "container", "plugin_type": "secret", "name": "x", "rest": "x"}
FIXED = ["vault_core_unsealed", "vault_core_in_flight_requests", "vault_core_handle_request", "vault_audit_log_request", "vault_audit_log_response",
         "vault_audit_log_request_failure", "vault_audit_log_response_failure", "vault_runtime_alloc_bytes", "vault_runtime_sys_bytes",
         "process_start_time_seconds", "process_resident_memory_bytes", "process_threads", "process_cpu_seconds_total",
         "runtime_catalog_connections", "runtime_catalog_lease_age_seconds", "runtime_catalog_cache_state", "runtime_catalog_build_info",
         *(f"runtime_catalog_pool_{end}" for end in ("size", "busy", "waiting", "waited_total", "errors_total")),
         *(f"runtime_catalog_cache_{end}" for end in ("enabled", "hits_total", "misses_total", "evictions_total", "entries", "bytes"))]


def edit_site(text, folder):
    """The site, and beside it that of metrics alone, on a socket."""
    more = (CHECKOUT / "nginx/metrics.conf").read_text()
    for old, new in (("listen 127.0.0.1:9290;", f"listen unix:{folder}/metrics.sock;"),
                     ("/var/log/nginx/runtime-catalog.access.log", f"{folder}/nginx/access.log"),
                     ("/var/log/nginx/runtime-catalog.error.log", f"{folder}/nginx/error.log")):
        if old not in more:
            raise RuntimeError(f"nginx/metrics.conf no longer has {old}")
        more = more.replace(old, new)
    return text + more


def scrape(s, token=SANE):
    """{name: family}"""
    response = s.request("GET", PROMETHEUS, token=token)
    if response.status != 200:
        raise RuntimeError(str(response))
    return exposition.parse(response.body.decode())


def value(families, name, *labels):
    return families[name].samples["", labels]


def requests_of(families):
    """Counter of (operation, path, status)."""
    samples = families[REQUESTS].samples if REQUESTS in families else {}
    return collections.Counter({tuple(dict(labels).values()): int(number) for (_, labels), number in samples.items()})


def state_of(families):
    return [dict(labels)["state"] for (_, labels), number in families["runtime_catalog_cache_state"].samples.items() if number]


def check_requests(s):
    before = requests_of(scrape(s))
    for times, method, path, body, token, _ in TABLE:
        for _ in range(times):
            s.request(method, path, body, token=token)
    after = scrape(s)
    wanted = collections.Counter({("read", "sys/metrics", "200"): 1}) # the one before
    for times, *_, counted in TABLE:
        wanted[counted] += times
    got = requests_of(after) - before
    s.tap.equal((got - wanted, wanted - got), (collections.Counter(), collections.Counter()), "each request of the table is counted, once and as what it was")
    s.tap.ok(not re.search(r"elsewhere|absent|\bone\b", " ".join(map(str, requests_of(after)))), "and nothing of what stood in a path",
             requests_of(after))
    return after


def check_sums(s, families):
    counts = collections.Counter()
    for (operation, path, _), number in requests_of(families).items():
        counts[operation, path] += number
    timed = {tuple(dict(labels).values()): int(number) for (end, labels), number in families[DURATION].samples.items() if end == "_count"}
    s.tap.equal(timed, dict(counts), "as many were timed as were answered, by operation and path")
    whole = families["vault_core_handle_request"].samples
    s.tap.equal(int(whole["_count", ()]), sum(counts.values()), "vault_core_handle_request counts all of them")
    seconds = sum(number for (end, _), number in families[DURATION].samples.items() if end == "_sum")
    s.tap.ok(abs(whole["_sum", ()] - 1000 * seconds) < 0.001 * seconds, "and has the sum of their times, in milliseconds", whole, seconds)
    for mount, name in (("sys/", "sys_"), ("auth/token/", "auth_token_")):
        for operation in ("read", "list", "update"):
            number = sum(count for (own, path), count in counts.items() if own == operation and path.startswith(mount))
            family = families.get(f"vault_route_{operation}_{name}")
            s.tap.equal(int(family.samples["_count", ()]) if family else 0, number, f"vault_route_{operation}_{name}")


def check_routes(s):
    """Help, which every route has and which changes nothing."""
    before = requests_of(scrape(s))
    wanted = collections.Counter({("read", "sys/metrics", "200"): 1})
    for route in ROUTES:
        wanted["help", route.path, "200"] += 1
        s.request("GET", "/v1/" + re.sub(r"\{(\w+)\}", lambda match: FILLED[match[1]], route.path) + "?help=1")
    s.tap.equal(requests_of(scrape(s)) - before, wanted, f"each of {len(ROUTES)} routes is counted under its own path")


def check_formats(s):
    for form, accept, kind in FORMATS:
        path = METRICS if form is None else f"{METRICS}?format={form}"
        response = s.request("GET", path, headers=[("Accept", accept)] if accept else [])
        good = response.status == 200 and response.header("Content-Type") == kind and response.header("Cache-Control") == "no-store"
        s.tap.ok(good, f"format={form}, Accept: {(accept or '')[:30]}: {kind}", response.headers)
    for form, shown in UNKNOWN_FORMATS:
        s.answer(f"format={form[:20]} is none", s.request("GET", f"{METRICS}?format={form}"), 400, errors=[f'metric response format "{shown}" unknown'])


def flat(name):
    return re.sub(r"\W", "_", name)


def check_agreement(s):
    """What stands still, and that is all but the path itself and what time does by itself."""
    text, found = scrape(s), s.request("GET", METRICS)
    s.tap.equal(list(found.json), ["Timestamp", "Gauges", "Points", "Counters", "Samples"], "JSON has the keys of Vault's")
    s.tap.ok(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC", found.json["Timestamp"]), "and its time", found.json["Timestamp"])
    keys = {"Gauges": ["Name", "Value", "Labels"],
            **{name: ["Name", "Count", "Rate", "Sum", "Min", "Max", "Mean", "Stddev", "Labels"] for name in ("Counters", "Samples")}}
    wrong = [one for name, wanted in keys.items() for one in found.json[name] if list(one) != wanted]
    s.tap.ok(found.json["Points"] == [] and not wrong, "each value has Vault's keys, in Vault's order", *wrong)
    kinds = {"Gauges": {"gauge"}, "Counters": {"counter"}, "Samples": {"summary", "histogram"}}
    for name, kind in kinds.items():
        s.tap.equal({flat(one["Name"]) for one in found.json[name]}, {key for key, family in text.items() if family.kind in kind},
                    f"{name}: the same names as in Prometheus")
    def still(labels):
        return dict(labels).get("path") != "sys/metrics"
    numbers = {(key, labels): number for key in (REQUESTS,) for (_, labels), number in text[key].samples.items() if still(labels)}
    same = {(flat(one["Name"]), tuple(one["Labels"].items())): one["Sum"] for one in found.json["Counters"] if flat(one["Name"]) == REQUESTS}
    s.tap.equal({key: number for key, number in same.items() if still(key[1])}, numbers, "and the same counts")
    times = {tuple(one["Labels"].items()): (one["Count"], one["Sum"]) for one in found.json["Samples"] if flat(one["Name"]) == DURATION}
    wanted = {labels: (number, text[DURATION].samples["_sum", labels]) for (end, labels), number in text[DURATION].samples.items() if end == "_count"}
    s.tap.equal({key: one for key, one in times.items() if still(key)}, {key: one for key, one in wanted.items() if still(key)}, "and the same times")
    odd = [one for one in found.json["Samples"] if one["Count"] and not (0 <= one["Min"] <= one["Mean"] * 1.0001 and one["Mean"] <= one["Max"] * 1.0001
                                                                         and one["Stddev"] >= 0)]
    s.tap.ok(not odd, "the least is no more than the mean, which is no more than the most", *odd)


def check_duration(s):
    """A write that waits for another one, in the bucket that it belongs to."""
    def slow(families, bound):
        return families[DURATION].samples[("_bucket", bound), (("operation", "update"), ("path", ITEM))]

    s.register("slow")
    before = scrape(s)
    with s.locked("slow"):
        writer = s.client.connect()
        writer.request("PUT", CONTAINER + "slow", json.dumps(EXAMPLE), {"X-Vault-Token": s.root_token})
        wait_for(lambda: s.lock_waits() == 1, 20, "the write waits")
        time.sleep(0.6)
    status = writer.getresponse().status
    writer.close()
    after = scrape(s)
    grown = [bound for bound in ("0.1", "0.25", "0.5", "+Inf") if slow(after, bound) > slow(before, bound)]
    s.tap.equal((status, grown), (204, ["+Inf"]), "what took 0.6 s is in no bucket of up to 0.5 s")


def check_values(s):
    families = scrape(s)
    s.tap.equal([name for name in FIXED if name not in families], [], "what is always there is there")
    with open(f"/proc/{s.worker.pid}/status", encoding="ascii") as file:
        status = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    s.tap.equal(value(families, "process_threads"), int(status["Threads"]), "threads, as the kernel has them")
    ratio = value(families, "process_resident_memory_bytes") / (int(status["VmRSS"].split()[0]) * 1024)
    s.tap.ok(0.5 < ratio < 2, "resident memory likewise", ratio)
    age = time.time() - value(families, "process_start_time_seconds")
    s.tap.ok(0 < age < 600, "when the process started", age)
    s.tap.ok(value(families, "vault_core_in_flight_requests") >= 1 and value(families, "runtime_catalog_connections") >= 1,
             "this request is under way, on an open connection")
    s.tap.equal((value(families, "runtime_catalog_cache_enabled"), state_of(families)), (1, ["on"]), "memory answers")
    s.tap.ok(0 <= value(families, "runtime_catalog_lease_age_seconds") < 60, "by a lease that is young")
    build = dict(next(iter(families["runtime_catalog_build_info"].samples))[1])
    s.tap.ok(build["api_version"] == "2.1.0" and re.fullmatch(r"[\d.]+", build["version"]), "the versions", build)


def check_cache(s):
    """Reads of the same again and again."""
    s.register("kept")
    wait_for(lambda: s.request("GET", CONTAINER + "kept").status == 200, 20, "it is read")
    before = scrape(s)
    for _ in range(50):
        s.request("GET", CONTAINER + "kept")
    after = scrape(s)
    def growth(name):
        return value(after, f"runtime_catalog_cache_{name}") - value(before, f"runtime_catalog_cache_{name}")
    s.tap.ok(growth("hits_total") >= 25 and growth("hits_total") > growth("misses_total"), "fifty reads of the same mostly found something",
             growth("hits_total"), growth("misses_total"))
    s.tap.ok(value(after, "runtime_catalog_cache_entries") > 0 and value(after, "runtime_catalog_cache_bytes") > 100, "of which there is something")


def check_permissions(s):
    s.tool("namespace", "create", "team-a")
    for number, (rule, status, error) in enumerate(RULES):
        s.policy(f"m{number}", f'path "sys/metrics" {{ {rule} }}')
        response = s.request("GET", PROMETHEUS, token=s.token(f"m{number}"))
        if error:
            s.answer(f"{rule}: {status}", response, status, errors=[error])
        else:
            s.tap.ok(response.status == status, f"{rule}: {status}", response)
    child = s.tool("token", "issue", "-namespace=team-a", "-policy=root", "-field=token").stdout.strip()
    space = [("X-Vault-Namespace", "team-a")]
    for name, token, path, headers, status, error in (
            ("no token", None, METRICS, [], 403, NO_TOKEN), ("an unknown one", "hvs.unknown", METRICS, [], 403, BAD_TOKEN),
            ("default's", s.token("default"), METRICS, [], 403, NOT_ALLOWED),
            ("a child's root, who asks for the root namespace's", child, METRICS, [], 403, BAD_TOKEN),
            ("a child's root at home", child, METRICS, space, 404, "unsupported path"),
            ("the same by path", child, "/v1/team-a/sys/metrics", [], 404, "unsupported path"),
            ("root, for a child", s.root_token, METRICS, space, 404, "unsupported path"),
            ("root, for a child by path", s.root_token, "/v1/team-a/sys/metrics", [], 404, "unsupported path"),
            ("root, below it", s.root_token, METRICS + "/x", [], 404, "unsupported path")):
        s.answer(f"{name}: {status}", s.request("GET", path, token=token, headers=headers), status, like=f"^{re.escape(error)}$")
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        s.answer(f"{method}: 405", s.request(method, METRICS), 405, errors=["unsupported operation"])
    answer = fixed_site(s, child)
    s.tap.ok(answer.startswith(b"Status: 404 "), "a site that is fixed to the child: 404", answer)
    return child


def fixed_site(s, token):
    with s.connect_to_worker() as peer:
        peer.sendall(fastcgi.request("GET", METRICS, token, RUNTIME_CATALOG_NAMESPACE="team-a/"))
        return fastcgi.answer(fastcgi.received(peer))


def check_site(s):
    """nginx/metrics.conf, with the token that nginx/README.md makes."""
    s.policy("metrics", 'path "sys/metrics" { capabilities = ["read"] }')
    token = s.token("metrics", period="768h")
    for path, status in ((PROMETHEUS, 200), (HEALTH, 404), (CATALOG, 404), (METRICS + "/", 404)):
        connection = UnixConnection(s.folder / "metrics.sock")
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        response = Response(answer.status, answer.getheaders(), answer.read())
        connection.close()
        s.tap.ok(response.status == status, f"the site of metrics: {path} is {status}", response)


# --- other configurations

def restart(s, **configuration):
    s.stop_worker()
    s.configure_worker(**configuration)
    s.start_worker()


def check_off(s):
    restart(s, cache='max_staleness = "0s"')
    families = scrape(s)
    s.tap.equal((value(families, "runtime_catalog_cache_enabled"), state_of(families)), (0, ["off: max_staleness is 0s"]), "no cache, and why")
    s.tap.equal(s.request("GET", HEALTH, token=None).key("cache"), "off: max_staleness is 0s", "as health says it")
    s.tap.ok("runtime_catalog_lease_age_seconds" not in families, "and no lease that could have an age")


def check_evictions(s):
    restart(s, cache='max_bytes = "16KiB"')
    for number in range(60):
        s.register(f"many-{number}")
    def evicted():
        for number in range(60):
            s.request("GET", f"{CONTAINER}many-{number}")
        return value(scrape(s), "runtime_catalog_cache_evictions_total") > 0
    wait_for(evicted, 20, "room is made")
    s.tap.ok(value(scrape(s), "runtime_catalog_cache_bytes") <= 2 * 16384, "in a small cache what is old goes, and is counted")


def check_anybody(s, child):
    restart(s, **ANYBODY)
    for name, token in (("nobody", None), ("an unknown token", "hvs.unknown"), ("a token of no rights", s.token("default"))):
        s.tap.ok(s.request("GET", PROMETHEUS, token=token).status == 200, f"open to anybody: {name}")
    s.answer("but in the root namespace alone", s.request("GET", METRICS, token=child, headers=[("X-Vault-Namespace", "team-a")]), 404,
             errors=["unsupported path"])
    answer = fixed_site(s, None)
    s.tap.ok(answer.startswith(b"Status: 404 "), "and at no customer's site", answer)
    s.answer("and nothing else is open", s.request("GET", CATALOG, token=None), 403, errors=[NO_TOKEN])


def check_pool(s):
    """One connection, which a write holds that waits for another one's."""
    restart(s, storage='max_connections = 1\n  pool_timeout = "25s"\n  statement_timeout = "25s"',
            listener=ANYBODY["listener"] + '\n  request_timeout = "25s"')
    s.register("held")
    writers = [s.client.connect() for _ in range(4)]
    with s.locked("held"):
        for writer in writers:
            writer.request("PUT", CONTAINER + "held", json.dumps(EXAMPLE), {"X-Vault-Token": s.root_token})
        def numbers():
            families = scrape(s, None)
            return [value(families, f"runtime_catalog_pool_{end}") for end in ("size", "busy", "waiting")]
        wait_for(lambda: numbers() == [1, 1, 3], 20, "three wait")
    statuses = [writer.getresponse().status for writer in writers]
    for writer in writers:
        writer.close()
    families = scrape(s, None)
    s.tap.equal(statuses, [204] * 4, "three writes wait for the one connection, and get it")
    s.tap.ok(value(families, "runtime_catalog_pool_waited_total") >= 3 and value(families, "runtime_catalog_pool_errors_total") == 0,
             "which is counted, and no error")


def check_audit(s):
    """A log that takes nothing."""
    restart(s, edit=lambda text: text.replace(str(s.audit_log), "/dev/full"), **ANYBODY)
    s.expect("worker", "INTERNAL: audit: ")
    for _ in range(3):
        s.request("GET", CATALOG)
    families = scrape(s, None)
    s.tap.equal([value(families, f"vault_audit_log_{end}_failure") for end in ("request", "response")], [3, 0],
                "what could not be recorded is counted")
    s.tap.equal(requests_of(families)["read", COLLECTION, "500"], 3, "as are the requests that failed for it")


def check_storage(s):
    restart(s, **ANYBODY)
    s.expect("worker", "STORAGE_AWAY", "(?i)connect|storage|database|recovery|read-only|standby")
    s.expect("postgresql", "FATAL:  terminating connection due to (administrator command|unexpected)",
             "FATAL:  the database system is (shutting down|starting up|not yet accepting)", "FATAL:  connection to client lost",
             "FATAL:  canceling authentication due to timeout") # what PostgreSQL calls it when it is told to stop meanwhile

    def await_state(state):
        def both():
            return (state_of(scrape(s, None)), s.request("GET", HEALTH, token=None).key("cache")) == ([state], state)
        wait_for(both, 20, state)
        s.tap.equal(value(scrape(s, None), "runtime_catalog_cache_enabled"), int(state == "on"), f"metrics and health say it: {state}")

    signal_file = s.cluster.data / "standby.signal"
    s.cluster.stop()
    s.request("GET", CATALOG)
    await_state("off: storage is not available")
    s.tap.ok(value(scrape(s, None), "runtime_catalog_pool_errors_total") > 0, "and there are errors of the pool")
    s.answer("whoever needs a token looked up gets 503", s.request("GET", "/v1/auth/token/lookup-self"), 503, like="storage")
    signal_file.touch()
    s.cluster.start()
    await_state("off: the server is in recovery")
    s.cluster.stop()
    signal_file.unlink()
    s.cluster.start()
    await_state("on")


PLAN = (2 + 9 + 1 + len(FORMATS) + len(UNKNOWN_FORMATS) + 3 + 3 + 3 + 1 + 8 + 2 + len(RULES) + 9 + 4 + 1 + 4 + 3 + 1 + 6 + 2 + 2 + 5)


def main():
    with stack(plan=PLAN, site="stand-alone", edit_site=edit_site) as s:
        families = check_requests(s)
        check_sums(s, families)
        check_routes(s)
        check_formats(s)
        check_agreement(s)
        check_duration(s)
        check_values(s)
        check_cache(s)
        child = check_permissions(s)
        check_site(s)
        check_off(s)
        check_evictions(s)
        check_anybody(s, child)
        check_pool(s)
        check_audit(s)
        check_storage(s)


main()
