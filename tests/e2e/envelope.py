#!/usr/bin/python3
"""Vault's envelope and headers, and the request id by which both logs and an answer meet."""
import json
import re
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from cluster import lines_of  # noqa: E402

KEYS = ["request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings", "auth", "mount_type"]
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# What each answer carries; Date and Connection are HTTP's own, Server says no version.
HEADERS = {"Server": "nginx", "Content-Type": "application/json", "Cache-Control": "no-store",
           "Strict-Transport-Security": "max-age=31536000; includeSubDomains"}

with stack(plan=24) as s:
    s.register("example")
    answers = [("a read", s.request("GET", CONTAINER + "example")), ("a list", s.request("LIST", CATALOG))]
    for name, response in answers:
        envelope = response.json
        s.tap.equal(list(envelope), KEYS, f"{name}: nine keys in Vault's order")
        s.tap.equal([envelope[key] for key in KEYS[1:4] + KEYS[5:]], ["", False, 0, None, None, None, "system"],
                    f"{name}: what they hold")
        s.tap.ok(re.fullmatch(UUID, envelope["request_id"]), f"{name}: the request id is a UUID", envelope)
        # Vault's encoder puts no space anywhere, and one newline at the end.
        compact = json.dumps(envelope, separators=(",", ":"), ensure_ascii=False) + "\n"
        s.tap.equal(response.body.decode(), compact, f"{name}: compact, with a newline")
    first, second = (response.json["request_id"] for _, response in answers)
    s.tap.ok(first != second, "no two requests share an id")
    s.tap.ok(any(first in line and "GET /v1/sys/plugins/runtimes/catalog/container/example " in line
                 for line in lines_of(s.access_log)), "nginx's log has the id", *lines_of(s.access_log))
    s.tap.ok(any(first in line for line in lines_of(s.worker_log)), "the worker's log has it too",
             *lines_of(s.worker_log))

    escaped = "<&>\u2028\u2029\"\\\u0001é"
    s.register("escaped", cgroup_parent=escaped)
    response = s.request("GET", CONTAINER + "escaped")
    s.tap.equal(response.data["cgroup_parent"], escaped, "text survives")
    s.tap.ok(rb'"\u003c\u0026\u003e\u2028\u2029\"\\\u0001' + "é".encode() + b'"' in response.body,
             "escaped as Go does", response)

    for name, response, length in [
            ("200", s.request("GET", CONTAINER + "example"), True),
            ("204", s.request("PUT", CONTAINER + "example", {}), False),
            ("400", s.request("PUT", CONTAINER + "example", []), True),
            ("403", s.request("GET", CATALOG, token=None), True),
            ("404", s.request("GET", CONTAINER + "absent"), True)]:
        headers = sorted(pair for pair in response.headers if pair[0] not in ("Date", "Connection", "Content-Length"))
        s.tap.equal((str(response.status), headers), (name, sorted(HEADERS.items())), f"{name}: exactly Vault's headers")
        s.tap.equal(len(response.values("Content-Length")) == 1 and
                    int(response.header("Content-Length")) == len(response.body), length,
                    f"{name}: {'its length' if length else 'no length'}")

    echoed = s.request("GET", CONTAINER + "example", headers=[("X-Vault-Namespace", "")])
    s.answer("an empty namespace header is none", echoed, 200)
