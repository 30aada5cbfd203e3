#!/usr/bin/python3
"""What a weak token must not get: by another spelling, by an odd number, by many of something, by
being quick."""
import concurrent.futures
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import BAD_TOKEN, NOT_ALLOWED, UNCACHED, stack  # noqa: E402

CREATE, ACL = "/v1/auth/token/create", "/v1/sys/policies/acl/"

# Spellings of a policy's name, all of which mean "admin", or "key" for the last.
SPELLINGS = ["admin", "Admin", "ADMIN", "%20admin", "admin%20", "%20Admin%20"]
LISTS = [["admin"], "admin", ["ADMIN"], " admin", [" admin"], ["admin "], ["admin\t"], ["\u000badmin"], [" Admin "]]

# A part of a second is one, and not none: without an end, or longer than asked for.
SHORT = [({"ttl": "500ms"}, 1), ({"ttl": "1ns"}, 1), ({"ttl": "1500ms"}, 2), ({"period": "900ms"}, 1),
         ({"explicit_max_ttl": "900ms"}, 1), ({"ttl": "1h", "explicit_max_ttl": "0.1s"}, 1)]
NONE = ["-", "-0.5s", "-1ns"]

with stack(plan=3 * len(SPELLINGS) + len(LISTS) + 2 * len(SHORT) + len(NONE) + 14, site="stand-alone", worker=UNCACHED) as s:
    s.policy("admin", 'path "*" { capabilities = ["read", "list", "update", "create", "delete", "sudo"] }')
    s.policy("writer", 'path "sys/policies/acl/*" { capabilities = ["create", "read", "update", "delete"] }\n'
                       'path "sys/policies/acl/admin" { capabilities = ["deny"] }')
    writer = s.token("writer")
    for spelling in SPELLINGS:
        for method, body in (("GET", None), ("PUT", {"policy": 'path "x" {}'}), ("DELETE", None)):
            s.answer(f"{method} {spelling}: denied under every name",
                     s.request(method, ACL + spelling, body, token=writer), 403, errors=[NOT_ALLOWED])
    s.policy("key", "# of ASCII")
    s.answer("a letter that only looks alike is another name", s.request("GET", ACL + "%E2%84%AAey"), 404, errors=[])
    s.answer("other names are the writer's", s.request("PUT", ACL + "Mine", {"policy": 'path "x" {}'}, token=writer), 200)

    s.policy("creator", f'path "{CREATE[4:]}" {{ capabilities = ["update", "sudo"]\n'
                        ' denied_parameters = { "policies" = ["admin", "root"] } }')
    creator = s.token("creator")
    for names in LISTS:
        s.answer(f"policies {names!r}: denied in every spelling",
                 s.request("POST", CREATE, {"policies": names}, token=creator), 403, errors=[NOT_ALLOWED])
    s.answer("other policies are the creator's", s.request("POST", CREATE, {"policies": ["key"]}, token=creator), 200)

    for body, seconds in SHORT:
        for policies in (["default"], ["root"]):
            response = s.request("POST", CREATE, {**body, "policies": policies})
            s.tap.equal(response.key("auth")["lease_duration"], seconds, f"{body} of {policies[0]}: {seconds} s")
    for text in NONE:
        s.answer(f"ttl {text}", s.request("POST", CREATE, {"ttl": text}), 400, like="ttl")
    s.policy("plain", f'path "{CREATE[4:]}" {{ capabilities = ["update"] }}')
    s.answer("a short period needs sudo like a long one",
             s.request("POST", CREATE, {"period": "900ms"}, token=s.token("plain")), 400, like="sudo privileges")

    # Paths that are open cost nothing; a token that has nothing left opens nothing.
    once = s.request("POST", CREATE, {"policies": ["default"], "num_uses": 1}).key("auth")["client_token"]
    s.secrets.append(once)
    mounts = "/v1/sys/internal/ui/mounts"
    s.tap.equal([s.request("GET", mounts, token=once).status for _ in range(3)], [200] * 3, "an open path costs no use")
    s.answer("the one use is still there", s.request("GET", "/v1/auth/token/lookup-self", token=once), 200)
    s.answer("and then gone, on open paths as well", s.request("GET", mounts, token=once), 403, errors=[BAD_TOKEN])

    many = ",".join(f"p{number}" for number in range(1001))
    s.answer("1000 paths are asked about at most", s.request("POST", "/v1/sys/capabilities-self", {"paths": many}), 400,
             errors=["paths: 1000 at most"])
    for policies, meta, text in ((["x" * 4096], {}, "policies"), (["x"], {"password": "hunter2" + "x" * 4096}, "meta")):
        s.secrets.append("hunter2")
        s.answer(f"too much of {text} is refused before PostgreSQL would log it",
                 s.request("POST", CREATE, {"policies": policies, "meta": meta}), 400, like=f"^{text}: 4096 bytes at most$")

    # A long line of descendants.
    line = [s.request("POST", CREATE, {}).key("auth")["client_token"]]
    for _ in range(200):
        line.append(s.request("POST", CREATE, {}, token=line[-1]).key("auth")["client_token"])
    keys = s.request("LIST", "/v1/auth/token/accessors").data["keys"]
    s.tap.ok(len(keys) > 200, "a long line of tokens is listed", len(keys))
    s.cluster.sql("UPDATE runtime_catalog.token SET expires_at = now() - interval '1 s'"
                  f" WHERE hash = sha256('{line[1]}'::bytea)")
    left = s.request("LIST", "/v1/auth/token/accessors").data["keys"]
    s.tap.equal(len(left), len(keys) - 200, "but not what ends with one that has expired")

    # An orphan is not made behind the back of a revocation that has been answered.
    after, meanwhile = set(), set()
    for _ in range(10):
        parent = s.request("POST", CREATE, {"policies": ["admin"]}).key("auth")["client_token"]
        with concurrent.futures.ThreadPoolExecutor(5) as clients:
            made = [clients.submit(s.request, "POST", CREATE + "-orphan", {"policies": ["admin"]}, token=parent) for _ in range(4)]
            revoked = clients.submit(s.request, "PUT", "/v1/auth/token/revoke-self", token=parent).result()
            after.add((revoked.status, s.request("POST", CREATE + "-orphan", {"policies": ["admin"]}, token=parent).status))
            meanwhile |= {one.result().status for one in made}
    s.tap.equal(after, {(204, 403)}, "a token that has been revoked makes no orphans")
    s.tap.ok(meanwhile <= {200, 400, 403}, "nor does anything fail while that happens", meanwhile)
