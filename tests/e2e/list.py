#!/usr/bin/python3
"""LIST plugin runtimes: every spelling that a client uses, and the order. paths.py has all the others."""
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, stack  # noqa: E402

# Each yields the whole list.
SPELLINGS = [
    ("LIST", "", "the page's LIST"),
    ("GET", "", "the page's GET, which Vault's own client sends"),
    ("LIST", "/", "LIST with a slash"),
    ("GET", "/", "GET with a slash"),
    ("GET", "?list=true", "vault list"),
    ("GET", "/?list=true", "vault-client-go"),
    ("GET", "?list=True", "hvac"),
    ("GET", "?list=1", "node-vault"),
    ("GET", "?list=false", "a list that was not meant is one all the same"),
    ("LIST", "?type=container", "the page's LIST with its type"),
    ("GET", "?type=container", "the page's GET with its type"),
    ("GET", "?list=true&type=container", "both parameters"),
    ("GET", "?type=", "no type is every type"),
    ("GET", "%3Ftype=container?list=true", "Terraform, which escapes the question mark"),
    ("LIST", "%3ftype=container", "the same in lower case"),
]

# Bytewise, so upper case first and `_` between the cases; a natural order would differ.
NAMES = ["z", "B", "a-b", "a", "a.b", "_", "a10", "a2", "Ab", "ab"]


def runtime(name):
    return {"name": name, "type": "container", "oci_runtime": "runsc", "cgroup_parent": "",
            "cpu_nanos": 0, "memory_bytes": 0, "rootless": False}


with stack(plan=2 + len(SPELLINGS) + 1) as s:
    for method in ("LIST", "GET"):
        s.answer(f"nothing registered, {method}", s.request(method, CATALOG), 200, data={"runtimes": []})
    for name in NAMES:
        s.register(name)
    whole = {"runtimes": [runtime(name) for name in sorted(NAMES)]}
    for method, rest, name in SPELLINGS:
        s.answer(f"{method} {rest}: {name}", s.request(method, CATALOG + rest), 200, data=whole)
    order = s.request("LIST", CATALOG).body
    s.tap.ok(order.index(b'"name":"B"') < order.index(b'"name":"_"') < order.index(b'"name":"a"'),
             "the order is that of the bytes", order)
