#!/usr/bin/python3
"""Policies: sudo in addition to the path's own capability on every catalog path; exact paths, a
trailing *, deny; what the root policy is; and that a refusal tells nothing."""
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, CONTAINER, NOT_ALLOWED, UNCACHED, stack  # noqa: E402

LIST = "sys/plugins/runtimes/catalog"
ITEM = "sys/plugins/runtimes/catalog/container/"
SUDO = "sudo"

# Each capability on exactly the path of a request that needs it, and the request.
REQUESTS = [
    ("read", LIST, "GET", CATALOG, 200),
    ("list", LIST + "/", "LIST", CATALOG, 200),
    ("list", LIST + "/", "LIST", CATALOG + "/", 200),
    ("list", LIST + "/", "GET", CATALOG + "?list=true", 200),
    ("list", LIST, "LIST", CATALOG + "?type=container", 200),
    ("read", LIST, "GET", CATALOG + "%3Ftype=container", 200),
    ("read", LIST + "/", "GET", CATALOG + "/", 200),
    ("update", ITEM + "a", "POST", CONTAINER + "a", 204),
    ("update", ITEM + "a", "PUT", CONTAINER + "a", 204),
    ("read", ITEM + "a", "GET", CONTAINER + "a", 200),
    ("delete", ITEM + "b", "DELETE", CONTAINER + "b", 204),
]

EVERYTHING = '"create", "read", "update", "patch", "delete", "list"'

# A policy, then requests on runtimes that exist, with the status of each.
POLICIES = [
    ("nothing", "# not a rule", [("GET", "a", 403), ("LIST", None, 403)]),
    ("a glob", f'path "{ITEM}*" {{ capabilities = ["read", "sudo"] }}',
     [("GET", "a", 200), ("GET", "a.b", 200), ("POST", "a", 403), ("GET", None, 403)]),
    ("a glob is a prefix, not a segment", f'path "{ITEM}a*" {{ capabilities = ["read", "sudo"] }}',
     [("GET", "a", 200), ("GET", "a.b", 200), ("GET", "c", 403)]),
    ("the longer rule counts", f'path "{ITEM}*" {{ capabilities = ["read", "sudo"] }}\n'
                               f'path "{ITEM}a*" {{ capabilities = ["delete", "sudo"] }}',
     [("GET", "c", 200), ("GET", "a", 403)]),
    ("an exact rule counts before a glob", f'path "{ITEM}a*" {{ capabilities = ["read"] }}\n'
                                           f'path "{ITEM}a" {{ capabilities = ["read", "sudo"] }}',
     [("GET", "a", 200), ("GET", "a.b", 403)]),
    ("sudo of another rule does not help", f'path "{ITEM}a" {{ capabilities = ["read"] }}\n'
                                           f'path "{ITEM}*" {{ capabilities = ["read", "sudo"] }}',
     [("GET", "c", 200), ("GET", "a", 403)]),
    ("deny wins over all the rest of its rule", f'path "{ITEM}*" {{ capabilities = ["read", "sudo"] }}\n'
                                                f'path "{ITEM}a" {{ capabilities = ["deny", "read", "sudo"] }}',
     [("GET", "c", 200), ("GET", "a", 403)]),
    ("a rule without capabilities hides broader ones", f'path "{ITEM}*" {{ capabilities = ["read", "sudo"] }}\n'
                                                       f'path "{ITEM}a" {{ }}',
     [("GET", "c", 200), ("GET", "a", 403)]),
    ("everything but sudo", f'path "*" {{ capabilities = [{EVERYTHING}] }}',
     [("GET", "a", 403), ("POST", "a", 403), ("DELETE", "a", 403), ("GET", None, 403), ("LIST", None, 403)]),
    ("nothing but sudo", 'path "*" { capabilities = ["sudo"] }',
     [("GET", "a", 403), ("POST", "a", 403), ("DELETE", "a", 403), ("GET", None, 403), ("LIST", None, 403)]),
    ("create is not update", f'path "{ITEM}*" {{ capabilities = ["create", "sudo"] }}', [("POST", "a", 403)]),
    ("the rule of a path with a leading slash", f'path "/{ITEM}a" {{ capabilities = ["read", "sudo"] }}',
     [("GET", "a", 200)]),
    ("the rule of a path with /v1/", f'path "/v1/{ITEM}a" {{ capabilities = ["read", "sudo"] }}', [("GET", "a", 403)]),
    ("policies in JSON", '{"path": {"%sa": {"capabilities": ["read", "sudo"]}}}' % ITEM,
     [("GET", "a", 200), ("GET", "c", 403)]),
    ("the old words", f'path "{ITEM}a" {{ policy = "sudo" }}', [("GET", "a", 200), ("POST", "a", 204)]),
]


def ask(s, token, method, name):
    return s.request(method, CATALOG if name is None else CONTAINER + name, {} if method == "POST" else None,
                     token=token)


plan = 3 * len(REQUESTS) + sum(len(requests) for *_, requests in POLICIES) + 13
with stack(plan, worker=UNCACHED) as s:
    for name in ("a", "a.b", "b", "c"):
        s.register(name)

    for number, (capability, rule, method, path, status) in enumerate(REQUESTS):
        for held in ([capability], [SUDO], [capability, SUDO]):
            token = s.token_with(f"request{number}-{len(held)}-{held[0]}", rule, *held)
            response = s.request(method, path, {} if method in ("POST", "PUT") else None, token=token)
            name = f"{method} {path} with {' and '.join(held)}"
            if len(held) == 2:
                s.answer(name, response, status)
            else:
                s.answer(name, response, 403, errors=[NOT_ALLOWED])

    for number, (name, text, requests) in enumerate(POLICIES):
        s.policy(f"policy{number}", text)
        token = s.token(f"policy{number}")
        for method, runtime, status in requests:
            response = ask(s, token, method, runtime)
            what = {"errors": [NOT_ALLOWED]} if status == 403 else {}
            s.answer(f"{name}: {method} {runtime or 'the list'}", response, status, **what)

    both = s.token("request9-1-read", "request9-1-sudo")
    s.answer("the same path in two policies: capabilities add up", ask(s, both, "GET", "a"), 200)
    s.policy("no-a", f'path "{ITEM}a" {{ capabilities = ["deny"] }}')
    s.answer("unless one of them denies", ask(s, s.token("request9-2-read", "no-a"), "GET", "a"), 403,
             errors=[NOT_ALLOWED])
    absent = s.token("comes-later")
    s.answer("a policy that does not exist grants nothing", ask(s, absent, "GET", "a"), 403, errors=[NOT_ALLOWED])
    s.policy("comes-later", f'path "{ITEM}a" {{ capabilities = ["read", "sudo"] }}')
    s.answer("until it does", ask(s, absent, "GET", "a"), 200)
    s.policy("comes-later", f'path "{ITEM}a" {{ capabilities = ["read"] }}')
    s.answer("and no longer when it changes", ask(s, absent, "GET", "a"), 403, errors=[NOT_ALLOWED])

    # Without permission one never learns whether a path exists, nor what is wrong with a body.
    poor = s.token("nothing-at-all")
    for method, path, body, name in [
            ("GET", CONTAINER + "absent", None, "a runtime that is not there"),
            ("GET", CATALOG + "/docker/a", None, "a type that is not there"),
            ("DELETE", CATALOG, None, "an operation that is not there"),
            ("POST", CONTAINER + "a", {"cpu_nanos": -1}, "a bad value"),
            ("DELETE", CONTAINER + "c", None, "a runtime that is there")]:
        s.answer(f"refused alike: {name}", s.request(method, path, body, token=poor), 403, errors=[NOT_ALLOWED])
    s.answer("the refused DELETE deleted nothing", ask(s, s.root_token, "GET", "c"), 200)

    refused = s.tool("policy", "write", "broken", "-", input='path "x" {', check=False)
    s.tap.ok(refused.returncode != 0 and refused.stderr.strip(), "a policy that does not parse is not stored", refused)
    typo = s.tool("policy", "write", "typo", "-", input='path "x" { capabilities = ["raed"] }', check=False)
    s.tap.ok(typo.returncode != 0 and "raed" in typo.stderr, "nor one with an unknown capability, which is named", typo)
