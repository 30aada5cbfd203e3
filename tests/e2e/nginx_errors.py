#!/usr/bin/python3
"""nginx never answers in HTML: each refusal of its own, provoked, has Vault's shape, or nginx hangs
up. And whatever happens to the worker, nginx asks it once."""
import concurrent.futures
import contextlib
import http.client
import io
import os
import pathlib
import random
import re
import signal
import socket
import ssl
import struct
import sys

sys.path.append(sys.path[0] + "/../lib")
from client import Response  # noqa: E402
from cluster import lines_of  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from processes import stop, wait_for  # noqa: E402

COLLECTION = CATALOG.encode()
ITEM = COLLECTION + b"/container/example"
X = b"Host: x\r\n"
CHUNKED = X + b"Transfer-Encoding: chunked\r\n"
UNREADABLE = "could not read"

# Bytes as they go over the wire, the status, and the text.
REFUSED = [
    (b"GET /v1/sys/health HTTP/1.1\r\n" + X, 404, "no handler", "another path of Vault's"),
    (b"GET " + COLLECTION + b"ue HTTP/1.1\r\n" + X, 404, "no handler", "a longer word"),
    (b"GET /v1/sys/plugins/runtimes HTTP/1.1\r\n" + X, 404, "no handler", "a shorter path"),
    (b"GET /v2/sys/plugins/runtimes/catalog HTTP/1.1\r\n" + X, 404, "no handler", "another version"),
    (b"GET / HTTP/1.1\r\n" + X, 404, "no handler", "the root"),
    (b"GET /runtime-catalog-error HTTP/1.1\r\n" + X, 404, "no handler", "the error page itself"),
    (b"GET /runtime-catalog-error?497 HTTP/1.1\r\n" + X, 404, "no handler", "and with its query"),
    (b"GET http://other HTTP/1.1\r\n" + X, 404, "no handler", "a whole URL without a path"),
    (b"GET /x HTTP/1.1\r\nIf-Match: \"a\"\r\nRange: bytes=900-\r\n" + X, 404, "no handler", "conditions that fail"),
    (b"GET /x HTTP/1.0\r\n", 404, "no handler", "HTTP/1.0"),
    (b"GET /x HTTP/1.1\r\nUser-Agent: Mozilla/4.0 (compatible; MSIE 5.0)\r\n" + X, 404, "no handler", "an old browser"),
    (b"get /x HTTP/1.1\r\n" + X, 400, UNREADABLE, "a method in lower case"),
    (b"GET /%00 HTTP/1.1\r\n" + X, 400, UNREADABLE, "a NUL in the path"),
    (b"GET /%zz HTTP/1.1\r\n" + X, 400, UNREADABLE, "a broken escape"),
    (b"GET /a\x01 HTTP/1.1\r\n" + X, 400, UNREADABLE, "a control byte in the path"),
    (b"GET /a b HTTP/1.1\r\n" + X, 400, UNREADABLE, "a space in the path"),
    (b"GET /../x HTTP/1.1\r\n" + X, 400, UNREADABLE, "a path above the root"),
    (b"OPTIONS * HTTP/1.1\r\n" + X, 400, UNREADABLE, "a star for a path"),
    (b"GET http://o^ther/ HTTP/1.1\r\n" + X, 400, UNREADABLE, "a whole URL with a bad host"),
    (b"GET /x HTTP/1.1\r\n", 400, UNREADABLE, "no Host"),
    (b"GET /x HTTP/1.1\r\nHost:\r\n", 400, UNREADABLE, "an empty Host"),
    (b"GET /x HTTP/1.1\r\nHost: a b\r\n", 400, UNREADABLE, "a Host with a space"),
    (b"GET /x HTTP/1.1\r\nHost: a/b\r\n", 400, UNREADABLE, "a Host with a slash"),
    (b"GET /x HTTP/1.1\r\nHost: a..b\r\n", 400, UNREADABLE, "a Host with an empty part"),
    (b"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400, UNREADABLE, "two Hosts"),
    (b"GET /x HTTP/1.1\r\nA: a\0b\r\n" + X, 400, UNREADABLE, "a NUL in a header"),
    (b"GET /x HTTP/1.1\r\nA: a\r\n b\r\n" + X, 400, UNREADABLE, "a folded header"),
    (b"GET /x HTTP/1.1\r\nA : a\r\n" + X, 400, UNREADABLE, "a space before the colon"),
    (b"GET /x HTTP/1.1\r\nAuthorization: a\r\nAuthorization: b\r\n" + X, 400, UNREADABLE, "a header twice that may come once"),
    (b"PRI * HTTP/2.0\r\n", 400, UNREADABLE, "HTTP/2 where HTTP/1.1 was agreed on"),
    (b"CONNECT localhost:1 HTTP/1.1\r\n" + X, 400, UNREADABLE, "CONNECT"),
    (b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n" + X, 400, UNREADABLE, "a negative length"),
    (b"POST /x HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n" + X, 400, UNREADABLE, "a length beyond 64 bits"),
    (b"POST /x HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n" + X, 400, UNREADABLE, "two lengths"),
    (b"POST /x HTTP/1.1\r\nContent-Length: 1\r\n" + CHUNKED, 400, UNREADABLE, "two kinds of length, as smuggling has them"),
    (b"POST /x HTTP/1.0\r\n" + CHUNKED, 400, UNREADABLE, "chunks in HTTP/1.0"),
    (b"POST " + ITEM + b" HTTP/1.1\r\n" + CHUNKED + b"\r\nZZZ\r\n", 400, UNREADABLE, "chunks that are none, to the worker"),
    (b"POST " + ITEM + b" HTTP/1.1\r\n" + CHUNKED + b"\r\nfffffffffffffffff\r\n", 400, UNREADABLE, "a chunk beyond 64 bits"),
    (b"POST /x HTTP/1.1\r\n" + CHUNKED + b"\r\nZZZ\r\n", 400, UNREADABLE, "chunks that are none, after a 404"),
    (b"TRACE /x HTTP/1.1\r\n" + CHUNKED + b"\r\nZZZ\r\n", 400, UNREADABLE, "chunks that are none, after a 405"),
    (b"TRACE " + COLLECTION + b" HTTP/1.1\r\n" + X, 405, "", "TRACE"),
    (b"CONNECT /x HTTP/1.1\r\n" + X, 405, "", "CONNECT to a path"),
    (b"POST " + ITEM + b" HTTP/1.1\r\nContent-Length: 1048577\r\n" + X, 413, "^http: request body too large$", "a body above 1 MiB"),
    (b"POST " + ITEM + b" HTTP/1.1\r\nContent-Length: 9223372036854775807\r\n" + X, 413, "too large", "a body of 2^63 bytes"),
    (b"POST " + ITEM + b" HTTP/1.1\r\n" + CHUNKED + b"\r\n100001\r\n" + b"x" * 0x100001, 413, "too large", "chunks above 1 MiB"),
    (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\n" + X, 414, "path too long", "a long path"),
    (b"GET /x HTTP/1.1\r\nX-Long: " + b"x" * 20000 + b"\r\n" + X, 431, "headers too large", "a long header"),
    (b"GET /x HTTP/1.1\r\n" + b"X-Long: %s\r\n" % (b"x" * 3000) * 30 + X, 431, "headers too large", "many headers"),
    (b"POST " + ITEM + b" HTTP/1.1\r\nTransfer-Encoding: gzip\r\n" + X, 501, "unsupported transfer encoding", "an encoding of the transfer"),
    (b"GET /x HTTP/9.9\r\n" + X, 505, "unsupported HTTP version", "HTTP/9.9"),
    (b"GET /x HTTP/2.0\r\n" + X, 505, "unsupported HTTP version", "HTTP/2.0 in HTTP/1.1"),
]

# The same without TLS, on the TLS port.
PLAIN = [
    (b"GET /x HTTP/1.1\r\n" + X, 400, "HTTP request was sent to an HTTPS port", "HTTP on the HTTPS port"),
    (b"PUT " + ITEM + b" HTTP/1.1\r\nContent-Length: 2\r\n" + X + b"\r\n{}", 400, "HTTPS port", "and with a body"),
    (b"\r\n\r\nnonsense\r\n", 400, UNREADABLE, "no HTTP at all on the HTTPS port"),
    (b"GET /" + b"x" * 20000, 414, "path too long", "a long path on the HTTPS port"),
]

# Over HTTP/2, as curl says it: its arguments, the status, the text.
HTTP2 = [
    (["/x"], 404, "no handler", "another path"),
    (["/%00"], 400, UNREADABLE, "a NUL in the path"),
    (["/x", "--header", "Host: a b"], 400, UNREADABLE, "a host with a space"),
    (["/x", "--request", "get"], 400, UNREADABLE, "a method in lower case"),
    (["/x", "--request", "TRACE"], 405, "", "TRACE"),
    ([CONTAINER + "example", "--data-binary", "x" * 100000 + "@"], 413, "too large", "a body above 1 MiB"),
]

# And as no client says it: fields and a body as they go over the wire, and the status; None:
# nginx ends stream or connection.
GET2 = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"x"), (b":path", b"/x")]
FRAMES = [
    (GET2, None, 404, "a good request"),
    (GET2[:3], None, 400, "no path"),
    (GET2[1:], None, 400, "no method"),
    ([GET2[0], *GET2[2:]], None, 400, "no scheme"),
    ([GET2[0], GET2[1], GET2[3]], None, 400, "no host"),
    (GET2 + [(b":path", b"/y")], None, 400, "two paths"),
    (GET2 + [(b":status", b"200")], None, 400, "a field of answers"),
    (GET2[:3] + [(b":path", b"x")], None, 400, "a path without a slash"),
    (GET2[:3] + [(b":path", b"")], None, 400, "an empty path"),
    (GET2 + [(b"host", b"y"), (b"host", b"z")], None, 400, "two hosts"),
    (GET2 + [(b"content-length", b"-1")], None, 400, "a negative length"),
    (GET2 + [(b"content-length", b"5")], None, 400, "a body that was announced and is not there"),
    ([(b":method", b"PUT"), *GET2[1:3], (b":path", ITEM), (b"content-length", b"5")], b"{}", 400, "a body that is too short"),
    ([(b":method", b"PUT"), *GET2[1:3], (b":path", ITEM), (b"content-length", b"1")], b"{}", 400, "a body that is too long"),
    (GET2 + [(b"a", b"a\0b")], None, None, "a NUL in a field"),
    (GET2 + [(b"A", b"a")], None, None, "a field's name in upper case"),
    (GET2 + [(b"transfer-encoding", b"gzip")], None, 501, "an encoding of the transfer"),
    (GET2 + [(b"a", b"x" * 20000)], None, None, "a long field"),
    (GET2 + [(b"a", b"x" * 3000)] * 30, None, None, "many fields"),
    (GET2[:3] + [(b":path", b"/" + b"x" * 20000)], None, None, "a long path"),
]
JSON_TYPE = bytes.fromhex("5f8b1d75d0620d263d4c7441ea") # Content-Type: application/json, as HPACK packs it

# Every status that nginx has a page for, and what leaves where a site's own rule says `return`.
PAGES = {status: status for status in [*range(400, 408), *range(409, 417), 421, 429, 498, *range(500, 506), 507]}
PAGES.pop(407)
PAGES.update({494: 431, 495: 400, 496: 400, 497: 400})
SILENT = {408, 444, 499}

# Sites of a few lines more, each behind a socket; %s is the folder.
SITES = {
    "rules": "\n".join(f"location = /{status} {{ return {status}; }}" for status in range(400, 600)),
    "limited": "include snippets/runtime-catalog/rates.conf;",
    "busy": "limit_req zone=once;",
    "denied": "deny all;",
    "asked": "auth_basic catalog; auth_basic_user_file nobody;",
    "hurried": "client_header_timeout 500ms; keepalive_timeout 500ms; lingering_timeout 500ms;\n"
               "location /v1/ { include snippets/runtime-catalog/hurried.conf; }",
}
ZONES = """
include snippets/runtime-catalog/rates-http.conf;
limit_req_zone $binary_remote_addr zone=once:1m rate=1r/m;
"""
SERVER = """
server {
    listen "unix:%s";
    set $runtime_catalog_namespace none;
    include snippets/runtime-catalog/errors.conf;
    include snippets/runtime-catalog/locations.conf;
    location / {
        try_files /nothing =404;
    }
    %s
}
"""
# A server that was there before, with pages of its own, and takes the catalog in.
GUEST = """
server {
    listen "unix:%s/guest.sock";
    set $runtime_catalog_namespace none;
    include snippets/runtime-catalog/locations.conf;
    location / {
        try_files /nothing =404;
    }
}
"""
FORGETFUL = "set $runtime_catalog_namespace none;"
# The first demands certificates, the second has another name on the same socket and does not.
CERTIFICATES = """
server {
    listen "unix:%(folder)s/certificate.sock" ssl default_server;
    server_name strict;
    ssl_verify_client on;
    ssl_client_certificate ca.pem;
    client_header_timeout 500ms;
    %(common)s
}
server {
    listen "unix:%(folder)s/certificate.sock" ssl;
    server_name localhost;
    %(common)s
}
"""
COMMON = """
    ssl_certificate server.pem;
    ssl_certificate_key server.key;
    set $runtime_catalog_namespace none;
    include snippets/runtime-catalog/errors.conf;
    include snippets/runtime-catalog/locations.conf;
"""
# What the sweep makes its requests of, and what it puts into them.
GOOD = [
    b"GET " + COLLECTION + b"?type=container HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: hvs.nobody\r\nConnection: close\r\n\r\n",
    b"LIST " + COLLECTION + b" HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nConnection: close\r\n\r\n",
    b"PUT " + ITEM + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{\"cpu_nanos\":1}",
    b"POST " + ITEM + b" HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
]
PIECES = [b"\0", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b":", b"/", b"//", b"/../", b"%", b"%00", b"%2F", b"?", b"#", b"\xff",
          b"HTTP/1.1", b"HTTP/9.9", b"Host: y\r\n", b"Content-Length: 7\r\n", b"Transfer-Encoding: gzip\r\n", b"Expect: 200-maybe\r\n",
          b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"Range: bytes=5-1\r\n", b"If-Match: *\r\n", b"A" * 20000]
MUTANTS = 240
SEED = 20260102


def mutant(dice):
    """A good request with a fault or two, every other at the start of a line."""
    request = dice.choice(GOOD)
    for _ in range(dice.randint(1, 2)):
        lines = [found.end() for found in re.finditer(b"^|\n", request)]
        start = dice.choice([dice.randrange(len(request)), dice.choice(lines)])
        end = dice.randint(start, min(start + 40, len(request)))
        piece = dice.choice([b"", dice.randbytes(1), *dice.choices(PIECES, k=3), request[start:end] * 2, request[start:end].swapcase()])
        request = request[:start] + piece + request[end:]
    return request


class Wire(io.BytesIO):
    """What came, for a parser that wants a socket."""

    def makefile(self, _mode):
        return self

    def close(self):
        pass


def answers(data):
    """The responses that the bytes hold; status 0: HTTP/0.9, which has nothing but a body."""
    wire = Wire(data)
    while wire.tell() < len(data):
        if not data.startswith(b"HTTP/", wire.tell()):
            yield Response(0, [], wire.read())
            return
        answer = http.client.HTTPResponse(wire)
        answer.begin()
        yield Response(answer.status, answer.getheaders(), answer.read())


def received(connection):
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            data += piece
    return data


@contextlib.contextmanager
def connected(s, site, context=None):
    """To a site behind a socket; with a context, in TLS."""
    with socket.socket(socket.AF_UNIX) as plain:
        plain.settimeout(40)
        plain.connect(str(s.folder / f"{site}.sock"))
        with context.wrap_socket(plain, server_hostname="localhost") if context else plain as connection:
            yield connection


def through(s, site, request, context=None):
    """All that comes back until nginx hangs up."""
    with connected(s, site, context) as connection:
        with contextlib.suppress(ConnectionError): # refused before all was sent
            connection.sendall(request)
        return received(connection)


def ask(s, site, method, path, body=b"", headers=b"", context=None):
    """The first response through a site; status 0 and no body: none."""
    request = b"%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n%s" % (
        method.encode(), path.encode(), len(body), headers, body)
    return next(answers(through(s, site, request, context)), Response(0, [], b""))


def over_http2(s, path, *arguments, **more):
    """A whole answer over HTTP/2."""
    done = s.curl("--http2", "--include", *arguments, f"https://localhost:{s.client.port}{path}", **more)
    head, _, body = done.stdout.partition("\n\n") # text: \r is gone
    first, *lines = head.splitlines()
    version, status, *_ = first.split()
    return Response(int(status) if version == "HTTP/2" else 0, [line.split(": ", 1) for line in lines], body.encode())


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def packed(number, bits):
    """An integer in HPACK, behind a prefix of zeros."""
    if number < 2 ** bits - 1:
        return bytes([number])
    rest, out = number - (2 ** bits - 1), [2 ** bits - 1]
    while rest >= 128:
        out.append(rest % 128 + 128)
        rest //= 128
    return bytes([*out, rest])


def in_frames(s, fields, body):
    """What an HTTP/2 stream brings back: its header block, and its data."""
    context = ssl.create_default_context(cafile=s.folder / "nginx/ca.pem")
    context.set_alpn_protocols(["h2"])
    block = b"".join(b"\0" + packed(len(name), 7) + name + packed(len(value), 7) + value for name, value in fields)
    request = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4 if body else 5, 1, block)
    if body:
        request += frame(0, 1, 1, body)
    head = data = b""
    with socket.create_connection(("127.0.0.1", s.client.port), timeout=40) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(request)
            stream = connection.makefile("rb")
            with contextlib.suppress(ConnectionError):
                while len(start := stream.read(9)) == 9:
                    length, kind, flags, number = *struct.unpack(">I", b"\0" + start[:3]), start[3], start[4], start[5:]
                    payload = stream.read(length)
                    if kind in (3, 7): # the stream ends, or the connection
                        break
                    head += payload if kind == 1 else b""
                    data += payload if kind == 0 else b""
                    if kind in (0, 1) and flags & 1 and number == b"\0\0\0\1":
                        break
    return head, data


def faults_in_frames(head, data, status):
    """What is wrong with the answer of an HTTP/2 stream."""
    if status is None:
        return ["an answer"] if head or data else []
    said = {400: b"\x8c", 404: b"\x8d"}.get(status, b"\x48\x03%d" % status)
    return [fault for fault, wrong in (
        ("the status", not head.startswith(said) and b"\x20" + said not in head[:4]), ("the type", JSON_TYPE not in head),
        ("the body", not re.fullmatch(rb'\{"errors":\["[^"]+"\]\}\n', data))) if wrong]


def edit(text, folder):
    """More sites, and one nginx process, so that all connections to the worker are kept by one."""
    snippets = folder / "nginx/snippets/runtime-catalog"
    frame_file = folder / "nginx/nginx.conf"
    frame_file.write_text(frame_file.read_text().replace("worker_processes 2;", "worker_processes 1;"))
    http_file = snippets / "http.conf"
    http_file.write_text(http_file.read_text().replace("keepalive_timeout 2s;", "keepalive_timeout 60s;"))
    worker_file = snippets / "worker.conf"
    worker_file.write_text(worker_file.read_text().replace("client_body_timeout 10s;", "client_body_timeout 1s;"))
    (snippets / "hurried.conf").write_text(
        worker_file.read_text().replace("client_max_body_size 1m;", "client_max_body_size 4m;")
        .replace("fastcgi_read_timeout 30s;", "fastcgi_read_timeout 500ms;"))
    servers = [SERVER % (folder / f"{name}.sock", lines) for name, lines in SITES.items()]
    servers.append((SERVER % (folder / "forgetful.sock", "")).replace(FORGETFUL, ""))
    servers.append(GUEST % folder)
    servers.append(CERTIFICATES % {"folder": folder, "common": COMMON})
    return text + ZONES + "".join(servers)


def certificates(s, *chain):
    """A client's context, with a certificate if there is one to load."""
    context = ssl.create_default_context(cafile=s.folder / "nginx/ca.pem")
    if chain:
        context.load_cert_chain(*chain)
    return context


def all_stopped(pid):
    """SIGSTOP stops a process thread by thread."""
    return all(stat.read_text().rpartition(")")[2].split()[0] == "T"
               for stat in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"))


METHODS = [("GET", None), ("LIST", None), ("POST", {}), ("PUT", {}), ("DELETE", None)]
# Who sends no more: the site, what is sent until then.
LATE = [
    ("hurried", b"", "nothing"),
    ("hurried", b"GET /v1/x HTTP/1.1\r\nHost:", "half a header"),
    ("hurried", b"PUT /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", "half a body"),
    ("hurried", b"PUT /v1/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{", "half a chunk"),
    ("certificate", b"\x16\x03\x01\x02\x00\x01", "half a TLS handshake"),
]
PLAN = (len(REFUSED) + len(PLAIN) + len(HTTP2) + len(FRAMES) + len(PAGES) + len(LATE) + 3 * len(METHODS) + 27)

with stack(plan=PLAN, edit_site=edit) as s:
    s.expect("nginx", "upstream", "connect\\(\\)", "client sent invalid chunked body", "intended to send too large",
             "limiting requests", "access forbidden by rule", "user .* was not found", "no user/password",
             "nobody\" failed")
    s.expect("postgresql", "connection to client lost")
    s.register("example")
    refusals = []

    def refused(name, response, status, text):
        """One refusal as a whole; what all have in common is looked at last."""
        refusals.append((name, response))
        return s.answer(f"{status}: {name}", response, status, **({"like": text} if text else {"errors": []}))

    # What nginx refuses before the worker hears of it.
    for request, status, text, name in REFUSED:
        refused(name, s.client.raw(request if b"\r\n\r\n" in request else request + b"\r\n"), status, text)
    for request, status, text, name in PLAIN:
        refused(name, s.client.raw(request if b"\r\n\r\n" in request else request + b"\r\n", tls=False), status, text)
    for arguments, status, text, name in HTTP2:
        if arguments[-1].endswith("@"): # too much for a command line
            arguments, more = [*arguments[:-1], "@-"], {"input": arguments[-1] * 11}
        else:
            more = {}
        refused(f"{name}, over HTTP/2", over_http2(s, *arguments, **more), status, text)
    for fields, body, status, name in FRAMES:
        head, data = in_frames(s, fields, body)
        faults = faults_in_frames(head, data, status)
        s.tap.ok(not faults, f"HTTP/2 frames: {status or 'no answer'}: {name}", *faults, head.hex(" "), data)
    s.tap.equal(through(s, "hurried", b"GET /x\r\n"), b'{"errors":["no handler for this path"]}\n', "HTTP/0.9 gets a body without headers")
    head = s.request("HEAD", "/x", token=None)
    s.tap.equal((head.status, head.body, head.header("Content-Type")), (404, b"", "application/json"), "HEAD gets headers without a body")

    # What a site's own rules refuse.
    for status, wanted in PAGES.items():
        s.answer(f"return {status}", ask(s, "rules", "GET", f"/{status}"), wanted, **({"errors": []} if status == 405 else {"like": "."}))
    others = {status: ask(s, "rules", "GET", f"/{status}") for status in range(400, 600) if status not in PAGES}
    s.tap.equal({status for status, response in others.items() if response.status == 0}, SILENT, "some statuses are a hang-up")
    s.tap.equal([status for status, response in others.items() if response.body], [], "all others have no page, and no body")
    burst = list(answers(through(s, "limited", b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n" * 600 + b"GET /x HTTP/1.1\r\n\r\n")))
    s.tap.ok({response.status for response in burst} >= {404, 429}, "rates.conf lets some through", len(burst))
    refused("more than rates.conf lets through", next((one for one in burst if one.status == 429), burst[0]), 429, "too many requests")
    ask(s, "busy", "GET", CATALOG)
    refused("a limit without a status of its own", ask(s, "busy", "GET", CATALOG), 503, "is busy")
    refused("an address that is not let in", ask(s, "denied", "GET", CATALOG), 403, "does not let this client in")
    refused("a site that asks for a password", ask(s, "asked", "GET", CATALOG), 401, "who asks")
    refused("a site that forgot its namespace", ask(s, "forgetful", "GET", CATALOG), 500, "internal error")
    refused("in a server with pages of its own: a body above 1 MiB", ask(s, "guest", "PUT", CONTAINER + "example", b"x" * 2_000_000), 413, "too large")
    s.tap.equal(ask(s, "guest", "GET", "/x").header("Content-Type"), "text/html", "which stay as they are")
    strict = b"Host: strict\r\n"
    context = certificates(s)
    context.check_hostname = False
    with connected(s, "certificate") as plain, context.wrap_socket(plain, server_hostname="strict") as connection:
        connection.sendall(b"GET /x HTTP/1.1\r\nConnection: close\r\n" + strict + b"\r\n")
        refused("no client certificate where one is demanded", next(answers(received(connection))), 400, "certificate is required")
    context = certificates(s, s.folder / "nginx/server.pem", s.folder / "nginx/server.key") # a server's, not a client's
    context.check_hostname = False
    with connected(s, "certificate") as plain, context.wrap_socket(plain, server_hostname="strict") as connection:
        connection.sendall(b"GET /x HTTP/1.1\r\nConnection: close\r\n" + strict + b"\r\n")
        refused("a client certificate that is none", next(answers(received(connection))), 400, "certificate is not accepted")
    misdirected = through(s, "certificate", b"GET /x HTTP/1.1\r\nConnection: close\r\n" + strict + b"\r\n", certificates(s))
    refused("another host than the one of the handshake", next(answers(misdirected)), 421, "another host")

    # Clients that stop sending, and a worker that stops answering.
    with concurrent.futures.ThreadPoolExecutor(len(LATE) + len(METHODS)) as clients:
        late = [clients.submit(through, s, site, data) for site, data, _ in LATE]
        os.kill(s.worker.pid, signal.SIGSTOP)
        wait_for(lambda: all_stopped(s.worker.pid), 10, "the worker hangs")
        hung = [clients.submit(ask, s, "hurried", method, "/v1/x") for method, _ in METHODS]
        for (_, _, name), one in zip(LATE, late):
            s.tap.equal(one.result(), b"", f"a client that sends {name} and stops is hung up on")
        for (method, _), one in zip(METHODS, hung):
            refused(f"the worker hangs: {method}", one.result(), 504, "did not answer in time")
        os.kill(s.worker.pid, signal.SIGCONT)
    s.answer("the worker goes on", s.request("GET", CONTAINER + "example"), 200)

    # No worker: its path is gone, then nobody listens there.
    stop(s.worker, signal.SIGKILL)
    s.worker = None
    (s.folder / "worker.sock").unlink()
    for method, body in METHODS:
        refused(f"no worker: {method}", s.request(method, CONTAINER + "example", body), 502, "does not answer")
    refused("no worker: GET over HTTP/2", over_http2(s, CONTAINER + "example"), 502, "does not answer")
    refused("no worker, in a server with pages of its own", ask(s, "guest", "GET", CONTAINER + "example"), 502, "does not answer")
    refused("no worker: a body above nginx's default", ask(s, "hurried", "PUT", "/v1/x", b"x" * 2_000_000),
            502, "does not answer")

    # A worker that is killed with a request in its hands, while another takes requests from the same
    # socket: whoever asked is told, and the other never hears of it.
    with s.listen_for_workers() as listener:
        worker = s.start_sharing(listener, "0")
        for number, (method, body) in enumerate(METHODS, 1):
            s.request("GET", CONTAINER + "example") # nginx keeps the connection, and repeats on such first of all
            other = s.start_sharing(listener, f"{number}")
            lock = s.cluster.session()
            lock.stdin.write("BEGIN; LOCK TABLE runtime_catalog.runtime; SELECT 'locked';\n")
            lock.stdin.flush()
            lock.stdout.readline()
            with concurrent.futures.ThreadPoolExecutor(1) as clients:
                held = clients.submit(s.request, method, CATALOG if method == "LIST" else CONTAINER + "killed", body)
                wait_for(lambda: s.lock_waits() == 1, 10, "the request waits for the lock")
                stop(worker, signal.SIGKILL)
                refused(f"the worker is killed: {method}", held.result(), 502, "does not answer")
            lock.communicate("COMMIT;\n")
            wait_for(lambda: s.lock_waits() == 0, 10, "what it had begun is over")
            s.request("GET", CONTAINER + "example")
            worker = other
        heard = [line for log in s.worker_logs() for line in lines_of(log) if re.search("container/killed| list sys", line)]
        s.tap.equal(heard, [], "and nobody was asked a second time")
        stop(worker, signal.SIGKILL)
    refused("nobody listens at the worker's path", s.request("GET", CONTAINER + "example"), 502, "does not answer")
    s.configure_worker()
    s.start_worker()
    s.answer("the worker again: an answer at once", s.request("GET", CONTAINER + "example"), 200)
    s.tap.equal([line for line in lines_of(s.nginx_log) if "no live upstreams" in line], [], "nginx never gave the worker up")

    # Requests that nobody thought of.
    dice = random.Random(SEED)
    mutants = [mutant(dice) for _ in range(MUTANTS)]
    with concurrent.futures.ThreadPoolExecutor(16) as clients:
        replies = [list(answers(data)) for data in clients.map(lambda request: through(s, "hurried", request), mutants)]
    faults, statuses = [], {}
    for request, replied in zip(mutants, replies):
        for response in replied:
            statuses[response.status] = statuses.get(response.status, 0) + 1
            wrong = list(s.faults_of(response, response.status)) if response.status else []
            if wrong or response.key("errors") is None:
                faults.append(f"{request[:500]!r}\n{response}")
    print(f"# {MUTANTS} requests: {dict(sorted(statuses.items()))}, seed {SEED}")
    s.tap.ok(not faults, "whatever a request looks like, what comes back is Vault-shaped JSON", *faults[:3])
    s.tap.ok(sum(statuses.values()) > MUTANTS / 2 and {400, 403, 404, 431, 501} <= set(statuses),
             "and most are answered, in many ways", statuses)

    # What all refusals have in common.
    s.tap.equal({response.header("Server") for _, response in refusals}, {"nginx"}, "no refusal tells nginx's version")
    s.tap.equal([name for name, response in refusals
                 if response.header("Retry-After") != ("1" if response.status in (429, 502, 503, 504) else None)],
                [], "429, 502, 503 and 504 say when to come again, and no other")
