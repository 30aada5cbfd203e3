#!/usr/bin/python3
"""Register plugin runtime: names, what a second registration leaves of the first, and that the path
decides. What each field and each body may hold is in fields.py and bodies.py."""
import sys

sys.path.append(sys.path[0] + "/../lib")
from coercion import DEFAULTS  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402

NAMES = ["a", "_", "0", "A-b.c_d", "example-plugin-runtime", "x" * 255]


def record(name, **differences):
    return {"name": name, "type": "container", **DEFAULTS, **differences}


with stack(plan=2 * len(NAMES) + 7) as s:
    for name in NAMES:
        s.answer(f"the name {name[:30]}", s.request("PUT", CONTAINER + name, {}), 204)
        s.answer(f"the name {name[:30]}, read back", s.request("GET", CONTAINER + name), 200, data=record(name))

    path = CONTAINER + "twice"
    s.answer("a first registration", s.request("POST", path, {"cpu_nanos": 4}), 204)
    s.answer("a second one", s.request("POST", path, {"name": "elsewhere", "type": 1, "cpu_nanos": 5}), 204)
    s.answer("takes the place of the first", s.request("GET", path), 200, data=record("twice", cpu_nanos=5))
    names = [runtime["name"] for runtime in s.request("LIST", CATALOG).data["runtimes"]]
    s.tap.equal(sorted(names), sorted([*NAMES, "twice"]), "and there is one of it, at the path's name")
    s.answer("the query of a write is not data", s.request("POST", path + "?cpu_nanos=7", {}), 204)
    s.answer("so it changed nothing", s.request("GET", path), 200, data=record("twice"))
    s.tap.equal(s.cluster.sql("SELECT updated_at > created_at FROM runtime_catalog.runtime WHERE name = 'twice'"),
                "t", "updated_at moved on, created_at did not")
