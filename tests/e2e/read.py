#!/usr/bin/python3
"""Read plugin runtime: the seven keys, and what is not there."""
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CONTAINER, stack  # noqa: E402

ABSENT = {"errors": []}
UNSUPPORTED = {"like": "^unsupported path"}
TYPES = {"like": "^unsupported path.*container"}

# What follows /container/ or /catalog/, the status and the answer.
CASES = [
    ("container/absent", 404, ABSENT, "a name that is not registered"),
    ("container/EXAMPLE", 404, ABSENT, "names are case-sensitive"),
    ("container/example/", 404, UNSUPPORTED, "a slash too many"),
    ("container/example/more", 404, UNSUPPORTED, "a segment too many"),
    ("container/-a", 404, UNSUPPORTED, "a name that begins with a hyphen"),
    ("container/a-", 404, UNSUPPORTED, "a name that ends with a hyphen"),
    ("container/a.", 404, UNSUPPORTED, "a name that ends with a full stop"),
    ("container/a%20b", 404, UNSUPPORTED, "a name with a space"),
    ("container/%C3%A9", 404, UNSUPPORTED, "a name that is not ASCII"),
    ("container/a..b", 400, {"like": r"name.*\.\."}, "two full stops in a name"),
    ("container", 404, UNSUPPORTED, "no name"),
    ("Container/example", 404, TYPES, "types are case-sensitive, and named"),
    ("docker/example", 404, TYPES, "an unknown type, and those that there are"),
    ("unsupported/example", 404, TYPES, "Vault's own unsupported type"),
]

with stack(plan=3 + len(CASES) + 1) as s:
    s.register("example", oci_runtime="runc", cgroup_parent="/x/", cpu_nanos=7, memory_bytes=8, rootless=True)
    response = s.request("GET", CONTAINER + "example")
    s.answer("a runtime", response, 200, data={
        "name": "example", "type": "container", "oci_runtime": "runc", "cgroup_parent": "/x/",
        "cpu_nanos": 7, "memory_bytes": 8, "rootless": True})
    s.tap.equal(list(response.data), ["cgroup_parent", "cpu_nanos", "memory_bytes", "name", "oci_runtime",
                                      "rootless", "type"], "its keys, in Vault's order")
    s.answer("a slash that was escaped", s.request("GET", CONTAINER.removesuffix("/") + "%2Fexample"), 200,
             data=response.data)
    for path, status, wanted, name in CASES:
        s.answer(name, s.request("GET", CONTAINER.removesuffix("container/") + path), status, **wanted)
    elsewhere = s.request("GET", CONTAINER + "example", headers=[("X-Vault-Namespace", "elsewhere")])
    s.tap.ok(elsewhere.status in (403, 404), "a namespace that does not exist shows nothing of it", elsewhere)
