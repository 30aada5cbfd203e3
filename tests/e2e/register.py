#!/usr/bin/python3
"""Register plugin runtime: what is written reads back, replaces what was there, and what is left
out has its default."""
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, CONTAINER, stack  # noqa: E402

DEFAULTS = {"type": "container", "oci_runtime": "runsc", "cgroup_parent": "", "cpu_nanos": 0,
            "memory_bytes": 0, "rootless": False}
LARGEST = 2**63 - 1

# What is sent, and how it differs from the defaults when read back.
BODIES = [
    ({}, {}, "an empty object"),
    (None, {}, "no body"),
    ("", {}, "an empty body"),
    (" \n", {}, "a blank body"),
    ("null", {}, "null"),
    ({"oci_runtime": "example-oci-runtime", "cgroup_parent": "/examplelimit/", "cpu_nanos": 1000,
      "memory_bytes": 10000000},
     {"oci_runtime": "example-oci-runtime", "cgroup_parent": "/examplelimit/", "cpu_nanos": 1000,
      "memory_bytes": 10000000}, "the page's sample"),
    ({"oci_runtime": ""}, {}, "an empty oci_runtime is runsc, the page's default"),
    ({"oci_runtime": None}, {}, "so is a null"),
    ({"oci_runtime": "runc"}, {"oci_runtime": "runc"}, "another runtime"),
    ({"rootless": True}, {"rootless": True}, "rootless"),
    ({"rootless": "true"}, {"rootless": True}, "rootless as text, as Vault takes it"),
    ({"rootless": False}, {}, "not rootless"),
    ({"cpu_nanos": LARGEST, "memory_bytes": LARGEST}, {"cpu_nanos": LARGEST, "memory_bytes": LARGEST},
     "the largest limits"),
    ({"cpu_nanos": 0, "memory_bytes": 0}, {}, "no limits"),
    ({"cpu_nanos": "1000"}, {"cpu_nanos": 1000}, "a limit as text, as Vault takes it"),
    ({"cpu_nanos": "0x10"}, {"cpu_nanos": 16}, "a limit in hexadecimal"),
    ({"type": 1}, {}, "the Go client's type, a number"),
    ({"type": "nonsense", "name": "elsewhere"}, {}, "the path decides about type and name"),
    ({"cgroup_parent": "/ümlaut \"<&>/\u2028"}, {"cgroup_parent": "/ümlaut \"<&>/\u2028"},
     "text that JSON escapes"),
    ({"unknown": [1, {"a": None}]}, {}, "fields that nobody knows are ignored"),
]

NAMES = ["a", "_", "0", "A-b.c_d", "example-plugin-runtime", "x" * 255]

with stack(plan=2 * len(BODIES) + 2 * len(NAMES) + 9) as s:
    for index, (body, differences, name) in enumerate(BODIES):
        path = f"{CONTAINER}runtime{index}"
        method = ("POST", "PUT")[index % 2]
        s.answer(f"{method}: {name}", s.request(method, path, body), 204)
        s.answer(f"{name}, read back", s.request("GET", path), 200,
                 data={"name": f"runtime{index}", **DEFAULTS, **differences})

    for name in NAMES:
        s.answer(f"the name {name[:30]}", s.request("PUT", CONTAINER + name, {}), 204)
        s.answer(f"the name {name[:30]}, read back", s.request("GET", CONTAINER + name), 200,
                 data={"name": name, **DEFAULTS})

    path = CONTAINER + "replaced"
    full = {"oci_runtime": "runc", "cgroup_parent": "/x/", "cpu_nanos": 1, "memory_bytes": 2, "rootless": True}
    s.answer("a first registration", s.request("POST", path, full), 204)
    s.answer("a second one", s.request("POST", path, {"cpu_nanos": 5}), 204)
    s.answer("replaces all of the first", s.request("GET", path), 200,
             data={"name": "replaced", **DEFAULTS, "cpu_nanos": 5})
    names = [runtime["name"] for runtime in s.request("LIST", CATALOG).data["runtimes"]]
    s.tap.equal(names.count("replaced"), 1, "and there is one of it")
    s.answer("the query of a write is not data", s.request("POST", path + "?cpu_nanos=7", {}), 204)
    s.answer("so it changed nothing", s.request("GET", path), 200, data={"name": "replaced", **DEFAULTS})
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    s.answer("curl's own content type", s.request("POST", path, {"cpu_nanos": 3}, headers=form), 204)
    s.answer("does not make JSON a form", s.request("GET", path), 200,
             data={"name": "replaced", **DEFAULTS, "cpu_nanos": 3})
    s.tap.equal(s.cluster.sql("SELECT updated_at > created_at FROM runtime_catalog.runtime WHERE name = 'replaced'"),
                "t", "updated_at moved on, created_at did not")
