#!/usr/bin/python3
"""Conditional reads: a weak ETag of what is stored, the same from every worker, with and without a cache;
If-None-Match and 304, which is let in and recorded like a 200."""
import json
import re
import sys

sys.path.append(sys.path[0] + "/../lib")
import fastcgi  # noqa: E402
from harness import BAD_TOKEN, CATALOG, CONTAINER, HSTS, NO_TOKEN, NOT_ALLOWED, stack  # noqa: E402
from processes import wait_for  # noqa: E402
from worker import Beside  # noqa: E402

SHA = "00" * 32
PLUGINS, POLICIES = "/v1/sys/plugins/catalog", "/v1/sys/policies/acl"
READS = [("GET", CONTAINER + "one"), ("LIST", CATALOG), ("GET", CATALOG), ("GET", CATALOG + "?type=container"), ("GET", CATALOG + "?type=unsupported"),
         ("GET", PLUGINS), ("LIST", PLUGINS + "/secret"), ("GET", PLUGINS + "/secret/p"), ("LIST", POLICIES), ("GET", POLICIES + "/rules")]
# What comes of If-None-Match; %s is the tag.
CONDITIONS = [("%s", 304), ("*", 304), ('"other", %s', 304), ('"other"', 200), ('W/"other"', 200), ("", 200), ("%s, broken", 200), ("broken", 200), ('*, "other"', 200)]
REFUSED = [("no token", None, NO_TOKEN), ("a token that is none", "hvs." + "x" * 24, BAD_TOKEN)]


class Worker(Beside):
    def tag(self, method, path):
        """The one ETag of a 200."""
        self.connection.send(fastcgi.request(method, path, self.s.root_token, keep=1))
        head = self.connection.receive().partition(b"\r\n\r\n")[0].decode()
        tags = re.findall(r"\r\nETag: (.*)", head)
        if not head.startswith("Status: 200") or len(tags) != 1 or not re.fullmatch(r'W/"[0-9a-f]{32}"', tags[0].strip()):
            raise RuntimeError(f"{method} {path}: {head}")
        return tags[0].strip()


def check_conditions(s):
    for method, path in READS:
        first, second = s.request(method, path), s.request(method, path)
        tag = first.header("ETag") or "none"
        s.tap.ok(re.fullmatch(r'W/"[0-9a-f]{32}"', tag) and second.header("ETag") == tag and first.json["request_id"] != second.json["request_id"],
                 f"{method} {path}: a weak tag, of the data alone", first, second)
        got = []
        for value, _ in CONDITIONS:
            answer = s.request(method, path, headers=[("If-None-Match", value.replace("%s", tag))])
            good = answer.header("ETag") == tag and answer.header("Cache-Control") == "no-store" and answer.header("Strict-Transport-Security") == HSTS
            bare = answer.status != 304 or answer.body == b"" and answer.header("Content-Length") is None
            got.append(answer.status if good and bare else str(answer))
        s.tap.equal(got, [status for _, status in CONDITIONS], f"{method} {path}: If-None-Match")


def check_refusals(s):
    always = [("If-None-Match", "*")]
    for name, token, text in REFUSED:
        answer = s.request("GET", CONTAINER + "one", token=token, headers=always)
        s.answer(f"{name}: no 304", answer, 403, errors=[text])
        s.tap.equal(answer.values("ETag"), [], f"{name}: no tag")
    s.answer("what is not there is no 304", s.request("GET", CONTAINER + "none", headers=always), 404, errors=[])
    s.answer("nor is a type that there is not", s.request("GET", CATALOG + "?type=x", headers=always), 400)
    answer = s.request("PUT", CONTAINER + "one", {"cpu_nanos": 1}, headers=always)
    s.tap.equal((answer.status, answer.values("ETag")), (204, []), "a write has no tag and knows no condition")
    answer = s.request("GET", "/v1/auth/token/lookup-self", headers=always)
    s.tap.equal((answer.status, answer.values("ETag")), (200, []), "nor has what changes by itself")


REFUSALS_PLAN = 2 * len(REFUSED) + 4


def check_tenants(s):
    """Two that have the same, of which each sees its own alone."""
    tokens, tags = {}, {}
    for name in ("alpha", "bravo"):
        s.tool("namespace", "create", name)
        tokens[name] = s.token("root", namespace=name)
        s.request("PUT", CONTAINER + "same", {"cpu_nanos": 5}, token=tokens[name], headers=[("X-Vault-Namespace", name)])
        tags[name] = s.request("GET", CATALOG, token=tokens[name], headers=[("X-Vault-Namespace", name)]).header("ETag")
    s.tap.ok(tags["alpha"] and tags["alpha"] == tags["bravo"] != s.request("GET", CATALOG).header("ETag"), "tenants that have the same have the same tag", tags)
    for path in (CATALOG, CONTAINER + "same"):
        answer = s.request("GET", path, token=tokens["alpha"], headers=[("X-Vault-Namespace", "bravo"), ("If-None-Match", tags["bravo"] + ", *")])
        s.answer(f"which lets neither in to the other, {path}", answer, 403, errors=[BAD_TOKEN])
        answer = s.request("GET", path, token=tokens["alpha"], headers=[("X-Vault-Namespace", "bravo"), ("If-None-Match", "*")])
        s.answer(f"whatever it asks for, {path}", answer, 403, errors=[BAD_TOKEN])
    s.request("PUT", CONTAINER + "same", {"cpu_nanos": 6}, token=tokens["bravo"], headers=[("X-Vault-Namespace", "bravo")])
    got = [s.request("GET", CATALOG, token=tokens[name], headers=[("X-Vault-Namespace", name), ("If-None-Match", tags[name])]).status for name in tokens]
    s.tap.equal(got, [304, 200], "and one's change is not the other's")


TENANTS_PLAN = 6


def check_workers(s):
    """The same data, the same tag, whoever answers and however it got there."""
    workers = [Worker(s, "a"), Worker(s, "b"), Worker(s, "off", 'max_staleness = "0s"')]
    seen = []
    for turn, value in enumerate((1, 2, 3, 1)):
        s.cluster.sql(f"UPDATE runtime_catalog.runtime SET cpu_nanos = {value} WHERE name = 'one'")
        wait_for(lambda: all(one.ask("GET", CONTAINER + "one")[1]["data"]["cpu_nanos"] == value for one in workers), 10, "all have heard of it")  # pylint: disable=cell-var-from-loop
        tags = [[one.tag(method, path) for one in workers] for method, path in READS[:3]]
        s.tap.ok(all(len(set(of_one)) == 1 for of_one in tags), f"turn {turn}: every worker has the same tags", tags)
        seen.append([of_one[0] for of_one in tags])
    s.tap.ok(all(len({turn[path] for turn in seen[:3]}) == 3 for path in range(3)), "other data has another tag", seen)
    s.tap.equal(seen[3], seen[0], "and what is as it was has the old one")
    s.tap.equal([one.stop() for one in workers], [0, 0, 0], "the workers stop in order")
    s.configure_worker()


def check_audit(s):
    answer = s.request("GET", CONTAINER + "one")
    s.request("GET", CONTAINER + "one", headers=[("If-None-Match", answer.header("ETag"))])
    records = [json.loads(line) for line in s.audit_log.read_bytes().splitlines()[-4:]]
    told = [(one["type"], one["request"]["path"], one["auth"], one.get("response", {}).get("data")) for one in records]
    s.tap.ok([one[0] for one in told] == 2 * ["request", "response"] and told[:2] == told[2:] and told[1][3], "a 304 is recorded like the 200 that it stands for", *records)


def check_curl(s):
    tag, out = s.folder / "tag", s.folder / "out"
    arguments = ["-H", f"X-Vault-Token: {s.root_token}", "-o", out, "-w", "%{http_version} %{http_code} %{size_download}", f"https://localhost:{s.client.port}{CATALOG}"]
    for version in ("--http1.1", "--http2"):
        first = s.curl(version, "--etag-save", tag, *arguments).stdout.split()
        second = s.curl(version, "--etag-compare", tag, *arguments).stdout.split()
        s.tap.ok(first[1] == "200" and second[1:] == ["304", "0"], f"curl {version} keeps what it has", first, second)


with stack(plan=2 * len(READS) + REFUSALS_PLAN + TENANTS_PLAN + 7 + 1 + 2, site="stand-alone") as s:
    s.register("one", cpu_nanos=1)
    s.register("two")
    s.request("PUT", PLUGINS + "/secret/p", {"sha256": SHA, "command": "p"})
    s.request("PUT", POLICIES + "/rules", {"policy": 'path "x" { capabilities = ["read"] }'})
    check_conditions(s)
    check_refusals(s)
    check_tenants(s)
    check_workers(s)
    check_audit(s)
    check_curl(s)
