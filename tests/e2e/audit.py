#!/usr/bin/python3
"""The audit log: which requests leave records, what stands in them, in Vault's shape, and that
nothing a client sends can make a line anything but one JSON object."""
import concurrent.futures
import json
import re
import signal
import sys

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from harness import BAD_TOKEN, CATALOG, CONTAINER, NO_TOKEN, NOT_ALLOWED, SANE, stack  # noqa: E402
from processes import wait_for  # noqa: E402
from records import AuditLog, faults  # noqa: E402

ITEM = CONTAINER + "r1"
RULES = {"reads": '"read", "sudo"', "updates": '"update", "sudo"', "lists": '"list"'}
MADE = "/v1/auth/token/create"

# What is refused although a worker has made no record yet, and its only connection is taken: to read how
# records are made it opens another. Token, method, path, headers, body; status and error.
NOWHERE = [("X-Vault-Namespace", "not a name")]
FIRST = [
    ("without a token", None, "DELETE", ITEM, [], None, 403, NO_TOKEN),
    ("that cannot be read", SANE, "PUT", ITEM, [], "{", 400, "failed to parse JSON: line 1, column 1: the text ends too early"),
    ("of a namespace that is none", SANE, "PUT", ITEM, NOWHERE, {}, 400,
     "header X-Vault-Namespace: segments of letters, digits, '_', '-' and '.', 512 bytes at most"),
]

# Who asks for what, and of both records: error, operation, path, mount type, and the names of the
# policies that granted it; False: they refused; KNOWN: they were not asked; None: nor was the token.
KNOWN = object()
KINDS = [
    ("register", "root", "POST", ITEM, {"cpu_nanos": 5}, "", "update", ITEM, "system", ["root"]),
    ("read", "both", "GET", ITEM, None, "", "read", ITEM, "system", ["reads"]),
    ("a limited token's write", "both", "PUT", ITEM, {}, "", "update", ITEM, "system", ["updates"]),
    ("refused by policy", "both", "DELETE", ITEM, None, NOT_ALLOWED, "delete", ITEM, "system", False),
    ("list by method", "root", "LIST", CATALOG, None, "", "list", CATALOG + "/", "system", ["root"]),
    ("list by parameter", "root", "GET", CATALOG + "?list=true", None, "", "list", CATALOG + "/", "system", ["root"]),
    ("help", "both", "GET", ITEM + "?help=1", None, "", "help", ITEM, "system", []),
    ("no token", None, "GET", ITEM, None, NO_TOKEN, "read", ITEM, "system", None),
    ("an unknown token", "unknown", "GET", ITEM, None, BAD_TOKEN, "read", ITEM, "system", None),
    ("a path that leads nowhere", "root", "GET", "/v1/nowhere", None, 'no handler for route "nowhere". route entry not found.',
     "read", "/v1/nowhere", None, ["root"]),
    ("a runtime that there is not", "root", "GET", CONTAINER + "r2", None, "", "read", CONTAINER + "r2", "system", ["root"]),
    ("a value that is refused", "root", "POST", ITEM, {"cpu_nanos": -1}, "runtime cpu in nanos cannot be negative", "update", ITEM, "system", ["root"]),
    ("a body that is none", "root", "POST", ITEM, "{", "failed to parse JSON: line 1, column 1: the text ends too early", "update", ITEM, "system", None),
    ("a path that is not canonical", "root", "GET", CATALOG + "//x", None, "path: must be canonical, without //, /./ and /../", "read", None, None, None),
    ("HEAD", "root", "HEAD", ITEM, None, "unsupported operation", None, ITEM, "system", ["root"]),
    ("lookup-self", "both", "GET", "/v1/auth/token/lookup-self", None, "", "read", "/v1/auth/token/lookup-self", "token", ["default"]),
    ("mounts, open to anybody", None, "GET", "/v1/sys/internal/ui/mounts", None, "", "read", "/v1/sys/internal/ui/mounts", "system", None),
    ("mounts, with a token", "both", "GET", "/v1/sys/internal/ui/mounts", None, "", "read", "/v1/sys/internal/ui/mounts", "system", KNOWN),
]
SILENT = ["health", "health?standbyok=true", "seal-status", "init", "leader"]

# What a client puts where it may: it must come back out of the log as it went in, or not at all.
NASTY = ["\r\n", "\x1b[2J", "\x7f", "\"}\n{\"type\":\"request\"}", "\\", "\u202e\u2066", "\u2028\u2029", "\ufeff", "\u0085\u009b", "😀", "\u0000"]


def relative(path):
    return path and path.removeprefix("/v1/")


class Test:
    def __init__(self, s):
        self.s = s
        self.log = AuditLog(s.audit_log, s.cluster)
        for name, capabilities in RULES.items():
            s.policy(name, f'path "sys/plugins/runtimes/catalog/*" {{ capabilities = [{capabilities}] }}')
        self.tokens = {"root": s.root_token, "both": s.token("lists", "reads", "updates", "default", "absent"),
                       "unknown": "hvs.unknownunknownunknownunkn", None: None}
        self.log.new()

    def ask(self, who, method, path, body=None, **more):
        """The answer, and the two records."""
        answer = self.s.request(method, path, body, token=self.tokens[who], **more)
        return answer, self.log.new()

    def accessor(self, token):
        return self.s.tool("token", "lookup", "-", "-field=accessor", input=token).stdout.strip()

    def kind(self, who, method, path, body, error, operation, wanted_path, mount, grantors):
        _, (asked, told) = self.ask(who, method, path, body)
        request, token = asked["request"], self.tokens[who]
        policies_asked = grantors not in (None, KNOWN)
        yield [record["type"] for record in (asked, told)], ["request", "response"]
        yield asked["request"], told["request"]
        yield asked["auth"], told["auth"]
        # What a station refuses is told before it is handled, what a handler refuses after.
        yield (asked.get("error", "") in ("", error), told.get("error", "")), (True, error)
        yield request.get("operation"), operation
        yield request.get("path"), relative(wanted_path)
        yield request.get("mount_type"), mount
        yield request.get("client_token"), token and self.log.hash(token)
        yield asked["auth"]["token_type"], "default" if grantors is None else "service"
        results = asked["auth"].get("policy_results", {})
        yield results.get("allowed"), grantors is not False if policies_asked else None
        yield [one["name"] for one in results.get("granting_policies", [])], grantors if policies_asked and grantors else []

    def run_kinds(self):
        for name, *kind in KINDS:
            wrong = [(got, wanted) for got, wanted in self.kind(*kind) if got != wanted]
            self.s.tap.ok(not wrong, f"recorded: {name}", *wrong)
        for path in SILENT:
            answer, found = self.ask(None, "GET", "/v1/sys/" + path)
            self.s.tap.ok(answer.status == 200 and not found, f"not recorded, as in Vault: {path}", answer, found)

    def run_whole(self):
        """One pair, key by key."""
        h, token = self.log.hash, self.s.root_token
        body = {"oci_runtime": "runc", "cpu_nanos": 7, "rootless": True, "unknown": [1.5, None, {"deep": "text"}]}
        answer, (asked, told) = self.ask("root", "POST", ITEM, body, headers=[
            ("User-Agent", "test/1"), ("X-Correlation-Id", "c-1"), ("X-Vault-Request", "true"), ("Cookie", "none")])
        issued = self.s.cluster.sql("SELECT to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM runtime_catalog.token"
                                    f" WHERE accessor = '{self.accessor(token)}'")
        auth = {"accessor": h(self.accessor(token)), "client_token": h(token), "display_name": "token", "policies": ["root"],
                "policy_results": {"allowed": True, "granting_policies": [{"name": "root", "namespace_id": "root", "type": "acl"}]},
                "token_policies": ["root"], "token_issue_time": issued, "token_type": "service"}
        request = {"client_token": h(token), "client_token_accessor": h(self.accessor(token)),
                   "data": {"oci_runtime": h("runc"), "cpu_nanos": 7, "rootless": True, "unknown": [1.5, None, {"deep": h("text")}]},
                   "headers": {"user-agent": ["test/1"], "x-correlation-id": ["c-1"]}, "id": asked["request"]["id"],
                   "mount_class": "secret", "mount_point": "sys/", "mount_type": "system", "namespace": {"id": "root"},
                   "operation": "update", "path": relative(ITEM), "remote_address": "127.0.0.1", "remote_port": asked["request"]["remote_port"]}
        mount = {key: request[key] for key in ("mount_class", "mount_point", "mount_type")}
        wanted = [{"time": asked["time"], "auth": auth, "request": request, "type": "request"},
                  {"time": told["time"], "auth": auth, "request": request, "response": mount, "type": "response"}]
        # As text: order counts, and in Python 1 and True are equal.
        self.s.tap.equal(json.dumps([asked, told]), json.dumps(wanted), "both records, with Vault's keys in Vault's order")
        self.s.tap.ok(answer.status == 204 and isinstance(request["remote_port"], int) and request["remote_port"] > 1023
                      and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", request["id"])
                      and all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", one["time"]) for one in (asked, told)),
                      "times, id and port as they are written", asked)

    def run_tokens(self):
        h = self.log.hash
        answer, (_, told) = self.ask("root", "POST", MADE, {"policies": ["reads"], "ttl": "1h", "num_uses": 2, "meta": {"who": "ann"}, "display_name": "x"})
        token, accessor = (answer.key("auth")[key] for key in ("client_token", "accessor"))
        self.s.secrets.append(token)
        self.s.tap.equal(told["response"]["auth"], {
            "accessor": h(accessor), "client_token": h(token), "metadata": {"who": "ann"}, "num_uses": 2, "policies": ["default", "reads"],
            "token_policies": ["default", "reads"], "token_ttl": 3600, "token_type": "service"}, "a token that is handed out")
        self.tokens["made"] = token
        _, (asked, _) = self.ask("made", "GET", ITEM)
        self.s.tap.equal({key: asked["auth"].get(key) for key in ("display_name", "metadata", "remaining_uses", "token_ttl")},
                         {"display_name": "token-x", "metadata": {"who": "ann"}, "remaining_uses": 1, "token_ttl": 3600}, "what is known of one that asks")
        answer, (asked, told) = self.ask("root", "POST", "/v1/auth/token/lookup", {"token": token})
        self.s.tap.equal((asked["request"]["data"], told["response"]["data"]["id"], told["response"]["data"]["num_uses"], answer.data["id"]),
                         ({"token": h(token)}, h(token), 1, token), "a token in a body and one in an answer have the hash of one that asks")
        answer, _ = self.ask("root", "POST", "/v1/sys/audit-hash/file", {"input": token})
        self.s.answer("sys/audit-hash tells the hash to look for", answer, 200, data={"hash": h(token)})
        for name, path, body, error in (("without an input", "file", {}, 'the "input" parameter is empty'), ("of a log that there is not", "syslog", {"input": "x"},
                                                                                                               'unknown audit backend "syslog/"')):
            answer, _ = self.ask("root", "POST", "/v1/sys/audit-hash/" + path, body)
            self.s.answer(f"sys/audit-hash {name}", answer, 400, errors=[error])
        answer, _ = self.ask("both", "POST", "/v1/sys/audit-hash/file", {"input": token})
        self.s.answer("it needs update, as in Vault", answer, 403, errors=[NOT_ALLOWED])
        self.s.tap.equal(self.s.tool("audit", "hash", "-", input=token + "\n").stdout, h(token) + "\n", "so does the tool")

    def run_namespaces(self):
        self.s.tool("namespace", "create", "team-a")
        label = self.s.tool("namespace", "read", "-field=id", "team-a").stdout.strip()
        self.s.policy("all", 'path "*" { capabilities = ["read", "sudo"] }', "-namespace=team-a")
        self.tokens["team"] = self.s.token("all", namespace="team-a")
        answer, (asked, _) = self.ask("team", "GET", "/v1/team-a/sys/policies/acl/all")
        self.s.tap.equal((answer.status, asked["request"]["namespace"], asked["request"]["path"], asked["auth"]["policy_results"]["granting_policies"]),
                         (200, {"id": label, "path": "team-a/"}, "sys/policies/acl/all",
                          [{"name": "all", "namespace_id": label, "namespace_path": "team-a/", "type": "acl"}]),
                         "a request in a namespace, by its path, and where the policy is that granted it")
        answer, (asked, _) = self.ask("root", "GET", ITEM, headers=[("X-Vault-Namespace", "team-b")])
        self.s.tap.equal((answer.status, asked["request"]["namespace"]), (404, {"path": "team-b/"}), "one that does not exist has no id")

    def run_nasty(self):
        """Everything a client writes freely: values, names, headers, paths."""
        h, wrong, raw_records = self.log.hash, [], []
        for text in NASTY:
            answer, found = self.ask("root", "POST", ITEM, json.dumps({"oci_runtime": text, "x" + text: text}))
            if "\0" not in text:
                data = found[0]["request"].get("data")
                wrong += [] if answer.status == 204 and data == {"oci_runtime": h(text), "x" + text: h(text)} else [(text, answer, data)]
            quoted = "".join(f"%{byte:02x}" for byte in text.encode())
            # nginx itself refuses a path with a NUL.
            for path in [ITEM + "?" + quoted + "=" + quoted, ITEM + quoted][:1 if text == "\0" else 2]:
                _, found = self.ask("root", "GET", path)
                wrong += [] if len(found) == 2 else [(path, found)]
        self.s.tap.ok(not wrong, "what a client writes into bodies, paths and queries", *wrong)
        for bytes_ in (b"a\x01\x1b[31m\x7f", b"\xff\xfe\xc0\x80", "\u202e\u0085".encode(), b'"}\\', b""):
            self.s.client.raw(b"GET " + ITEM.encode() + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: " + bytes_
                              + b"\r\nUser-Agent: again\r\nX-Vault-Token: " + self.s.root_token.encode() + b"\r\n\r\n")
            raw_records += [record["request"]["headers"]["user-agent"][0] for record in self.log.new()[:1]]
        self.s.tap.equal(raw_records, ["a\x01\x1b[31m\x7f", "\ufffd\ufffd\ufffd\ufffd", "\u202e\u0085", '"}\\', ""],
                         "a User-Agent of any bytes, the first of several")
        data = self.s.audit_log.read_bytes()
        self.s.tap.ok(not faults(data), "every line is one JSON object without a control byte", *faults(data))
        shown = re.findall("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", data.decode())
        self.s.tap.equal(shown, [], "nor a character that does not show")

    def run_anonymous(self):
        """Whoever has no token cannot fill the disk: what hashes multiply is left out."""
        body = json.dumps({"a": [[""] * 5000] * 4})
        sent = [("a body", "POST", body, []), ("a header", "GET", None, [("User-Agent", "\x01" * 6000)])]
        for who in (None, "unknown"):
            for name, method, content, headers in sent:
                before = self.s.audit_log.stat().st_size
                _, (asked, _) = self.ask(who, method, ITEM, content, headers=headers)
                grown = self.s.audit_log.stat().st_size - before
                self.s.tap.ok(grown < 4096 and not {"data", "headers"} & asked["request"].keys(),
                              f"{name} of 6000 bytes and more, {who or 'no'} token: little is recorded", grown, asked["request"].keys())
        _, (asked, _) = self.ask("root", "POST", ITEM, {"x": "", "User": "plain"}, headers=[("User-Agent", "u" * 300)])
        self.s.tap.equal((asked["request"]["data"], asked["request"]["headers"]),
                         ({"User": self.log.hash("plain"), "x": self.log.hash("")}, {"user-agent": ["u" * 300]}), "of whom is known all is; an empty text, too, is hashed, as in Vault")

    def run_many_policies(self):
        names = [f"p{number:02}" for number in range(70)]
        granted = {"p05": "read", "p63": "read", "p69": "read", "p66": "list"}
        for name in names:
            self.s.policy(name, f'path "{relative(ITEM)}" {{ capabilities = ["{granted[name]}", "sudo"] }}' if name in granted
                          else f'path "{name}" {{ capabilities = ["read"] }}')
        answer, _ = self.ask("root", "POST", MADE, {"policies": names, "no_default_policy": True})
        self.tokens["many"] = answer.key("auth")["client_token"]
        self.s.secrets.append(self.tokens["many"])
        _, (asked, _) = self.ask("many", "GET", ITEM)
        self.s.tap.equal([one["name"] for one in asked["auth"]["policy_results"]["granting_policies"]], ["p05", "p63", "p69"],
                         "of seventy policies those are named that granted it, and no other")

    def run_texts(self):
        """What README says stands there as it is: keys of a body, and error texts with the names that they quote."""
        _, (asked, told) = self.ask("root", "POST", "/v1/sys/plugins/catalog/x", {"type": "kind-1", "key-1": "value-1"})
        self.s.tap.ok("kind-1" in told["error"] and "key-1" in asked["request"]["data"] and "value-1" not in json.dumps([asked, told]),
                      "keys and errors are in clear, texts of a body are not", asked, told)

    def run_options(self):
        self.reload("hmac_accessor = false")
        _, (asked, _) = self.ask("root", "GET", ITEM)
        accessor = self.accessor(self.s.root_token)
        self.s.tap.equal((asked["auth"]["accessor"], asked["request"]["client_token_accessor"], asked["auth"]["client_token"]),
                         (accessor, accessor, self.log.hash(self.s.root_token)), "hmac_accessor = false shows accessors, and no token")
        self.s.register("r2")
        self.log.new()
        self.reload("elide_list_responses = true")
        found = {path: self.ask("root", method, path)[1][1]["response"]["data"] for method, path in (
            ("LIST", CATALOG), ("GET", CATALOG), ("LIST", "/v1/sys/policies/acl"), ("LIST", "/v1/sys/namespaces"), ("GET", ITEM))}
        self.s.tap.equal([found[CATALOG], found["/v1/sys/policies/acl"], found["/v1/sys/namespaces"]],
                         [{"runtimes": 2}, {"keys": 5}, {"key_info": 1, "keys": 1}], "elide_list_responses leaves lengths of lists")
        self.s.tap.equal(found[ITEM]["name"], self.log.hash("r1"), "and everything else")

    def run_first(self):
        for name, token, method, path, headers, body, status, error in FIRST:
            self.s.stop_worker()
            self.s.start_worker()
            with self.s.cluster.session() as locker, concurrent.futures.ThreadPoolExecutor(1) as pool:
                locker.stdin.write("BEGIN; LOCK TABLE runtime_catalog.token; SELECT 'locked';\n")
                locker.stdin.flush()
                locker.stdout.readline()
                other = pool.submit(self.s.request, "GET", ITEM)
                wait_for(lambda: self.s.lock_waits() == 1, 10, "another request waits for its caller")
                response = self.s.request(method, path, body, token=token, headers=headers)
                locker.communicate("COMMIT;\n")
                other.result()
            self.s.answer(f"a first request {name}", response, status, errors=[error])

    def reload(self, line):
        before = len([one for one in lines_of(self.s.worker_log) if "configuration reloaded" in one])
        self.s.configure_worker(edit=lambda text: text.replace('audit "file" {', 'audit "file" {\n  ' + line))
        self.s.worker.send_signal(signal.SIGHUP)
        wait_for(lambda: len([one for one in lines_of(self.s.worker_log) if "configuration reloaded" in one]) > before, 10, "reloaded")


with stack(plan=len(KINDS) + len(SILENT) + len(FIRST) + 26, site="stand-alone") as s:
    test = Test(s)
    test.run_kinds()
    test.run_whole()
    test.run_tokens()
    test.run_namespaces()
    test.run_nasty()
    test.run_options()
    test.run_anonymous()
    test.run_texts()
    test.run_many_policies()
    test.run_first()
