#!/usr/bin/python3
"""Hostile input through the whole chain, while a canary reads: what would be SQL, a line of a log, an
escape or another language, in every field, header, path and query; headers that mean to be
parameters; JSON and HCL that grow; clients that are slow, many, or more than there are threads and
descriptors. Each gets an answer that is clear, or is hung up on; nothing is changed but what was
asked for, and that is stored to the letter."""
import concurrent.futures
import contextlib
import http.client
import itertools
import json
import os
import re
import resource
import socket
import sys
import time
import urllib.parse

sys.path.append(sys.path[0] + "/../lib")
from canary import Canary  # noqa: E402
from cluster import lines_of  # noqa: E402
from fastcgi import answer, received, request  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from processes import start, wait_for  # noqa: E402

SOAK = "RUNTIME_CATALOG_SOAK_SECONDS" in os.environ
CROWD = 5000
SLOW = 120
TEXTS = [
    "' OR '1'='1", "'; DROP TABLE runtime_catalog.runtime; --", "\\'; DELETE FROM runtime_catalog.token; --", "$1", "$$ || pg_sleep(9) || $$",
    "1); SELECT set_config('runtime_catalog.namespace_id', '1', true); --", "\"; \\! id", "%s%n%x", "${jndi:ldap://x/y}", "$(id)", "`id`", "{{7*7}}",
    "<script>alert(1)</script>", "a\r\n2026-01-01T00:00:00.000Z [ERROR] forged", "a\nforged", "a\rforged", "\x1b[2J\x1b]0;forged\x07", "\x00", "a\x00b",
    "\u202eforged\u2066", "\u2028forged\u2029", "\ufeff", "\x7f", "\x85", "../../etc/passwd", "..\\..\\x", "\U0001f600", "x" * 4096, "x" * 4097,
]
# Bytes that are no UTF-8: overlong, cut off, a surrogate, beyond Unicode.
BYTES = [b"\xc0\xaf", b"\xc0\x80", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xff\xfe"]
CLEAR = {200, 204, 400, 403, 404, 405, 413, 414, 415, 431}
HEADERS = ["X-Vault-Token", "Authorization", "X-Vault-Namespace", "X-Vault-Wrap-TTL", "X-Vault-Policy-Override", "X-Vault-Request",
           "X-Vault-Recover-Snapshot-Id", "User-Agent", "X-Correlation-Id", "Content-Type", "Cookie", "Referer", "X-Forwarded-For"]
# Headers that mean to be what nginx tells the worker.
SMUGGLED = ["HTTP-X-Vault-Token", "HTTP_X_VAULT_TOKEN", "X_Vault_Token", "X-Vault-Token_", "Request-Uri", "Document-Uri", "Request-Method", "Remote-Addr",
            "Runtime-Catalog-Namespace", "RUNTIME_CATALOG_NAMESPACE", "X-HTTP-Method-Override", "X-Original-URL", "X-Rewrite-URL", "Content_Length", "Host_"]
# Paths in other spellings, as they go over the wire.
SPELLINGS = ["http://localhost" + CATALOG, "https://elsewhere.example" + CATALOG, CATALOG + "%2f", CATALOG + "%2Fcontainer%2Fexample", CATALOG + "/container%2fexample",
             CATALOG + "/container/%2e%2e/container/example", CATALOG + "/./container/example", CATALOG + "//container/example", CATALOG + "/container/example%00",
             CATALOG + "/container/example%0d%0aX:%20y", CATALOG + "/container/ex%61mple", CATALOG + "/container/example;a=b", CATALOG + "/container/example%5c",
             CATALOG + "/container/%c0%ae%c0%ae/example", CATALOG + "/container/%252e%252e", CATALOG + "/container/example#x", "/v1/sys\\plugins", "/V1" + CATALOG[3:]]
BOMBS = {
    "arrays in arrays": b"[" * 500_000, "objects in objects": b'{"a":' * 150_000, "a hundred thousand keys": json.dumps({f"k{i}": i for i in range(60_000)}).encode(),
    "a list of many": b'{"args":[' + b"0," * 300_000 + b"0]}", "a long number": b'{"cpu_nanos":' + b"9" * 900_000 + b"}",
    "a small number": b'{"cpu_nanos":1e-' + b"9" * 900_000 + b"}", "a string of escapes": b'{"oci_runtime":"' + b"\\u0041" * 150_000 + b'"}',
    "one key again and again": b"{" + b'"a":0,' * 150_000 + b'"a":0}', "blanks": b" " * 1_000_000 + b"{}", "a string that does not end": b'{"a":"' + b"x" * 1_000_000,
}
POLICIES = {
    "blocks in blocks": 'path "a" {' * 20_000, "a long list": f'path "a" {{ capabilities = [{"0," * 100_000}] }}', "many rules": 'path "a/*" { capabilities = ["read"] }\n' * 10_000,
    "plus signs": f'path "{"+/" * 2000}" {{ capabilities = ["read"] }}', "heredocs": "a = <<" + "E" * 200_000, "comments": "/*" * 200_000, "interpolation": '"${' * 100_000,
}


def state(s):
    """What is stored, but for what a test may change."""
    return s.cluster.sql("SELECT md5(string_agg(row::text, E'\\n' ORDER BY row::text)) FROM ("
                         " SELECT runtime::text AS row FROM runtime_catalog.runtime WHERE name <> 'target'"
                         " UNION ALL SELECT policy::text FROM runtime_catalog.policy WHERE name NOT LIKE 'hostile%'"
                         " UNION ALL SELECT namespace::text FROM runtime_catalog.namespace"
                         " UNION ALL SELECT plugin::text FROM runtime_catalog.plugin WHERE name <> 'target') AS all_rows")


def faults(response):
    """What no answer may be."""
    if response.status not in CLEAR:
        yield f"the status is {response.status}"
    if response.status != 204 and response.json is None:
        yield "no JSON"
    if any("forged" in name.lower() for name, _ in response.headers):
        yield "a header is forged"


def lines_fit(path, pattern):
    """The lines of a log that are none of its own, or hold a control byte."""
    return [line for line in path.read_bytes().split(b"\n") if line
            and (not re.match(pattern, line) or any(byte < 0x20 or byte == 0x7F for byte in line))][:5]


def edit(text, folder):
    """Waits that end sooner, and room for a crowd."""
    snippets = folder / "nginx/snippets/runtime-catalog"
    for name, old, new in (("limits.conf", "client_header_timeout 10s;", "client_header_timeout 2s;"), ("worker.conf", "send_timeout 30s;", "send_timeout 5s;")):
        (snippets / name).write_text((snippets / name).read_text().replace(old, new))
    return text


class Hostile:
    def __init__(self, s):
        self.s, self.tap = s, s.tap

    def ask(self, method, path, body=None, headers=(), **more):
        """None: nginx hung up."""
        try:
            return self.s.request(method, path, body, headers=headers, **more)
        except (OSError, ValueError, http.client.HTTPException):
            return None

    def fields(self):
        wrong, stored = [], 0
        target = CONTAINER + "target"
        for text, field in itertools.product(TEXTS, ("oci_runtime", "cgroup_parent", "cpu_nanos", "memory_bytes", "rootless", "type", "name", "an unknown one")):
            answer = self.ask("PUT", target, {field: text})
            wrong += [f"{field}={text[:40]!r}: {fault}" for fault in faults(answer)]
            if answer.status == 204 and field in ("oci_runtime", "cgroup_parent"):
                stored += 1
                got = self.ask("GET", target).data[field]
                wrong += [] if got == text else [f"{field}={text[:40]!r} reads back as {got!r}"]
        for text, field in itertools.product(TEXTS, ("command", "sha256", "oci_image", "runtime", "version", "args", "env")):
            body = {"command": "c", "sha256": "0" * 64, field: [text] if field in ("args", "env") else text}
            answer = self.ask("PUT", "/v1/sys/plugins/catalog/secret/target", body)
            wrong += [f"plugin {field}={text[:40]!r}: {fault}" for fault in faults(answer)]
        for text in TEXTS:
            for path, body in (("/v1/sys/policies/acl/hostile", {"policy": text}), ("/v1/auth/token/create", {"display_name": text, "meta": {text: text}, "ttl": "1m"}),
                               ("/v1/sys/capabilities-self", {"paths": [text]}), ("/v1/auth/token/lookup", {"token": text}), ("/v1/auth/token/lookup-accessor", {"accessor": text})):
                answer = self.ask("POST", path, body)
                wrong += [f"{path} {text[:40]!r}: {fault}" for fault in faults(answer)]
                if answer.key("auth"):
                    self.s.secrets.append(answer.json["auth"]["client_token"])
        for raw in BYTES:
            answer = self.ask("PUT", target, b'{"oci_runtime":"' + raw + b'"}')
            wrong += [] if answer.status == 400 else [f"{raw!r} in a body: {answer}"]
        self.tap.ok(not wrong, "in fields: an answer that is clear", *wrong[:8])
        self.tap.ok(stored > 30, "and what is taken is stored to the letter", stored)

    def places(self):
        wrong = []
        quoted = [urllib.parse.quote(text, safe="") for text in TEXTS] + [urllib.parse.quote(raw) for raw in BYTES]
        for text, path in itertools.product(quoted, (CONTAINER + "%s", CATALOG + "/%s/x", CATALOG + "?type=%s", CATALOG + "?list=%s", CATALOG + "?%s=x",
                                                     "/v1/sys/policies/acl/%s", "/v1/%s/sys/plugins/runtimes/catalog", "/v1/sys/plugins/catalog/secret/%s?version=%s")):
            for method in ("GET", "DELETE"):
                answer = self.ask(method, path.replace("%s", text))
                wrong += [f"{method} {path} {text[:60]}: {fault}" for fault in faults(answer)] if answer else []
        self.tap.ok(not wrong, "in paths and queries: an answer that is clear", *wrong[:8])
        wrong = []
        values = [text.encode() for text in TEXTS] + BYTES
        for value, header in itertools.product(values, HEADERS):
            if b"\r" in value or b"\n" in value:
                continue # ends the header: see wire()
            more = {"token": None} if header in ("X-Vault-Token", "Authorization") else {}
            answer = self.ask("GET", CONTAINER + "example", headers=[(header, value)], **more)
            wrong += [f"{header}: {value[:40]!r}: {fault}" for fault in faults(answer)] if answer else []
            if more and answer and answer.status == 200:
                wrong.append(f"{header}: {value[:40]!r} was let in")
        self.tap.ok(not wrong, "in headers: an answer that is clear", *wrong[:8])

    def wire(self):
        """As no client library sends it."""
        wrong, root = [], self.s.root_token
        for name in SMUGGLED:
            for value in (root, "/v1/sys/health", "DELETE", "team-a/", "127.0.0.1"):
                answer = self.ask("GET", CONTAINER + "example", headers=[(name, value)], token=None)
                wrong += [f"{name}: let in or worse"] if answer and answer.status != 403 else []
        self.tap.ok(not wrong, "headers that mean to be parameters are none", *wrong)
        wrong = []
        for header in ("X-Vault-Token", "X-Vault-Namespace", "Content-Length", "Host", "Transfer-Encoding"):
            lines = "".join(f"{header}: {value}\r\n" for value in ("0", root))
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer = self.s.client.raw(f"GET {CONTAINER}example HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n".encode())
                wrong += [f"{header} twice: {answer.status}"] if answer.status not in (400, 501) else []
        self.tap.ok(not wrong, "a header that says two things is refused", *wrong)
        wrong = []
        for path, method in itertools.product(SPELLINGS, ("GET", "DELETE")):
            for token, wanted in ((None, {400, 403, 404, 405}), ("hvs." + "0" * 24, {400, 403, 404, 405})):
                line = f"X-Vault-Token: {token}\r\n" if token else ""
                with contextlib.suppress(OSError, http.client.HTTPException):
                    answer = self.s.client.raw(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{line}\r\n".encode())
                    wrong += [f"{method} {path}: {answer.status}"] if answer.status not in wanted else []
        self.tap.ok(not wrong, "no spelling of a path gets by without a token", *wrong)

    def bombs(self):
        slowest = 0.0
        for name, body in BOMBS.items():
            started = time.monotonic()
            answer = self.ask("PUT", CONTAINER + "target", body)
            slowest = max(slowest, time.monotonic() - started)
            wrong = list(faults(answer))
            self.tap.ok(not wrong and answer.status in (400, 413, 204), f"JSON, {name}: {answer.status}", *wrong, str(answer)[:500])
        for name, text in POLICIES.items():
            started = time.monotonic()
            answer = self.ask("PUT", "/v1/sys/policies/acl/hostile", {"policy": text})
            slowest = max(slowest, time.monotonic() - started)
            wrong = list(faults(answer))
            self.tap.ok(not wrong and answer.status in (204, 400, 413), f"a policy, {name}: {answer.status}", *wrong, str(answer)[:500])
        print(f"# the slowest took {slowest:.2f} s")

    def slow(self):
        """A byte now and then, of a request's headers or its body. Who reads slowly: slow_readers.py."""
        head = f"GET {CATALOG} HTTP/1.1\r\nHost: localhost\r\nX-Pad: ".encode()
        body = f"PUT {CONTAINER}target HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: {self.s.root_token}\r\nContent-Length: 1000\r\n\r\n".encode()
        with contextlib.ExitStack() as held:
            def connect():
                plain = held.enter_context(socket.create_connection(("127.0.0.1", self.s.client.port), timeout=20))
                return held.enter_context(self.s.client.context.wrap_socket(plain, server_hostname="localhost"))

            headers, bodies = [connect() for _ in range(SLOW)], [connect() for _ in range(SLOW)]
            for one, data in [(one, head) for one in headers] + [(one, body) for one in bodies]:
                one.sendall(data)
            started = time.monotonic()
            while time.monotonic() - started < (20 if SOAK else 4):
                for one in headers + bodies:
                    with contextlib.suppress(OSError):
                        one.sendall(b"x")
                time.sleep(1)
            busy = sum(self.s.connections())
            gone, end = 0, time.monotonic() + 15
            for one in headers:
                with contextlib.suppress(OSError):
                    one.settimeout(max(0.01, end - time.monotonic()))
                    gone += one.recv(1) == b""
            self.tap.equal(gone, SLOW, f"{SLOW} clients that send a header a byte a second are hung up on")
            self.tap.ok(busy <= 16, f"{SLOW} that send a body so hold no connection of the worker's", busy)

    def crowd(self):
        """Who connects and says nothing, and who all ask at once."""
        with contextlib.ExitStack() as held:
            refused = 0
            for _ in range(CROWD):
                try:
                    held.enter_context(socket.create_connection(("127.0.0.1", self.s.client.port), timeout=20))
                except OSError:
                    refused += 1
            answer = self.ask("GET", CONTAINER + "example")
            self.tap.ok(refused < CROWD / 10 and answer and answer.status == 200, f"{CROWD} connections at once, {refused} of them refused: another client is served", answer)
        with concurrent.futures.ThreadPoolExecutor(150) as clients:
            statuses = list(clients.map(lambda _: self.ask("GET", CONTAINER + "example").status, range(600)))
        self.tap.equal(set(statuses), {200}, "150 clients at once, more than there are threads: all are served")


_, HARD = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (HARD, HARD)) # for a crowd, here and in nginx
with stack(plan=21 + len(BOMBS) + len(POLICIES), site="stand-alone", edit_site=edit) as s:
    s.expect("nginx", "client sent", "client intended to send", "worker_connections are not enough", "upstream", "SSL_do_handshake")
    s.register("example")
    s.register("target")
    s.plugin("held", "example")
    before = state(s)
    hostile = Hostile(s)
    with Canary(s, CONTAINER + "example") as canary:
        for part in (hostile.fields, hostile.places, hostile.wire, hostile.bombs, hostile.slow):
            part()
    s.tap.equal(set(canary.statuses), {200}, f"the others are served: {canary}")
    hostile.crowd()
    s.tap.equal(state(s), before, "nothing is changed but what was asked for")
    s.tap.equal(s.worker.poll(), None, "the same worker all the time")
    with open(f"/proc/{s.worker.pid}/status", encoding="ascii") as file:
        peak = int(re.search(r"VmHWM:\s+(\d+)", file.read())[1]) // 1024
    s.tap.ok(peak < 1500, f"which never held more than {peak} MiB")

    # Every line is the log's own.
    s.tap.equal(lines_fit(s.worker_log, rb"\d{4}-\d\d-\d\dT[\d:.]+Z \[[A-Z]+\] "), [], "no line of the worker's log is forged")
    s.tap.equal(lines_fit(s.access_log, rb"127\.0\.0\.1 \[\d{4}-"), [], "nor of nginx's")
    audit = s.audit_log.read_bytes().splitlines()
    broken = []
    for line in audit:
        try:
            record = json.loads(line)
            broken += [line] if record.get("type") not in ("request", "response") else []
        except ValueError:
            broken.append(line)
    s.tap.equal(broken[:3], [], f"each of {len(audit)} lines of the audit log is one record")

    s.stop_worker()
    s.worker = start(["sh", "-c", 'ulimit -n 64; exec "$0" "$@"', s.folder / "bin/runtime-catalogd", "-c", s.folder / "worker.conf"], s.worker_log)
    wait_for(s.worker_listens, 20, "the worker listens")
    peers = [s.connect_to_worker() for _ in range(60)]
    wait_for(lambda: sum(s.connections()) >= 60, 20, "as many connections as there are descriptors")
    for peer in peers:
        peer.sendall(request("GET", CONTAINER + "example", s.root_token))
    s.tap.equal({answer(received(peer))[:11] for peer in peers}, {b"Status: 200"}, "64 descriptors, and a connection for each: none is taken from PostgreSQL")
    with Canary(s, CONTAINER + "example") as canary, concurrent.futures.ThreadPoolExecutor(100) as clients:
        statuses = list(clients.map(lambda _: hostile.ask("GET", CONTAINER + "example").status, range(400)))
    s.tap.equal(set(statuses) | set(canary.statuses), {200}, "64 descriptors, and 100 clients at once: all are served")
    s.tap.ok(any("64 file descriptors are too few" in line for line in lines_of(s.worker_log)), "and the log says that they are few")
