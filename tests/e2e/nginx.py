#!/usr/bin/python3
"""nginx's part: what it lets through, what it refuses in Vault's shape, TLS, and a dead worker."""
import ssl
import socket
import sys
import warnings

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402

# Bytes as they go over the wire, the status, and the text.
REFUSED = [
    (b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n\r\n", 404, "no handler", "another path of Vault's"),
    (b"GET /v1/sys/plugins/runtimes/catalogue HTTP/1.1\r\nHost: x\r\n\r\n", 404, "no handler", "a longer word"),
    (b"GET /v1/sys/plugins/runtimes HTTP/1.1\r\nHost: x\r\n\r\n", 404, "no handler", "a shorter path"),
    (b"GET /v2/sys/plugins/runtimes/catalog HTTP/1.1\r\nHost: x\r\n\r\n", 404, "no handler", "another version"),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 404, "no handler", "the root"),
    (b"GET /runtime-catalog-error HTTP/1.1\r\nHost: x\r\n\r\n", 404, "no handler", "the error page itself"),
    (b"get /v1/x HTTP/1.1\r\nHost: x\r\n\r\n", 400, "could not read", "a method in lower case"),
    (b"GET /v1/%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400, "could not read", "a NUL in the path"),
    (b"GET /../x HTTP/1.1\r\nHost: x\r\n\r\n", 400, "could not read", "a path above the root"),
    (b"GET /v1/x HTTP/1.1\r\n\r\n", 400, "could not read", "no Host"),
    (b"POST /v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
     "could not read", "two lengths, as request smuggling has them"),
    (b"TRACE /v1/x HTTP/1.1\r\nHost: x\r\n\r\n", 405, "unsupported operation", "TRACE"),
    (b"GET /v1/x HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 20000 + b"\r\n\r\n", 431, "headers too large", "a long header"),
    (b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "too long", "a long path"),
]


def handshake(s, version):
    """The version that is agreed on with a client that speaks only this one."""
    context = ssl.create_default_context(cafile=s.folder / "nginx/ca.pem")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning) # that nobody should speak them is the point
        context.minimum_version = context.maximum_version = version
    try:
        with socket.create_connection(("127.0.0.1", s.client.port)) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                return connection.version()
    except OSError:
        return None


with stack(plan=len(REFUSED) + 20) as s:
    s.register("example")
    for request, status, text, name in REFUSED:
        s.answer(f"{status}: {name}", s.client.raw(request), status, like=text)
    plain = s.client.raw(b"GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\n", tls=False)
    s.answer("400: HTTP on the HTTPS port", plain, 400, like="HTTPS")

    for version, agreed in [(ssl.TLSVersion.TLSv1_3, "TLSv1.3"), (ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
                            (ssl.TLSVersion.TLSv1_1, None), (ssl.TLSVersion.TLSv1, None)]:
        s.tap.equal(handshake(s, version), agreed, f"{version.name}: {'spoken' if agreed else 'refused'}")

    url = f"https://localhost:{s.client.port}{CATALOG}"
    header = ["--header", f"X-Vault-Token: {s.root_token}"]
    for protocol, version in (("--http1.1", "1.1"), ("--http2", "2")):
        done = s.curl(protocol, *header, "--request", "LIST", "--write-out", "%{http_version} %{http_code}", url)
        s.tap.ok(done.stdout.endswith(f"}}\n{version} 200"), f"LIST over HTTP/{version}", done)

    done = s.curl("--http2", *header, "--request", "PUT", "--include", url + "/container/example")
    s.tap.equal([line.rstrip() for line in done.stdout.lower().splitlines() if line.startswith(("http/", "content-type"))],
                ["http/2 204", "content-type: application/json"], "a 204 over HTTP/2 keeps its Content-Type")

    s.request("GET", CATALOG + "?type=container&secret=hush")
    s.request("GET", CATALOG + "?type=container", headers=[("User-Agent", "hush"), ("Referer", "hush")])
    log = "\n".join(lines_of(s.access_log))
    s.tap.ok("hush" not in log, "the log has neither query nor headers", log)
    s.tap.ok(f'"LIST {CATALOG} HTTP/2.0" 200' in log, "but method, path, version and status", log)
    s.tap.ok('"GET /v1/sys/plugins/runtimes/catalogue HTTP/1.1" 404' in log, "of refused requests, too", log)

    forged = s.request("GET", CONTAINER + "example", headers=[
        ("X-Forwarded-For", "10.0.0.1"), ("Request-Id", "0" * 32), ("Runtime-Catalog-Namespace", "team-a/"),
        ("Document-Uri", "/"), ("Proxy", "http://10.0.0.1/")])
    s.answer("headers that look like parameters are only headers", forged, 200)

    # One connection, many requests: each is served on its own, whoever has the upstream connection.
    connection = s.client.connect()
    seen = [s.request("GET", CONTAINER + ("example" if turn % 2 else "absent"), connection=connection,
                      token=s.root_token if turn % 3 else None).status for turn in range(60)]
    connection.close()
    s.tap.equal(seen, [403 if turn % 3 == 0 else 200 if turn % 2 else 404 for turn in range(60)],
                "sixty requests on one connection do not mix")

    slow = [s.client.connect() for _ in range(80)]
    for one in slow:
        one.putrequest("POST", CONTAINER + "slow")
        one.putheader("X-Vault-Token", s.root_token)
        one.putheader("Content-Length", "10")
        one.endheaders(b"{")
    s.answer("eighty clients that send slowly hold no thread", s.request("GET", CONTAINER + "example"), 200)
    for one in slow:
        one.close()

    # The worker dies and comes back; nginx neither repeats a write nor keeps away from it.
    s.expect("nginx", "upstream", "connect\\(\\)")
    s.stop_worker()
    (s.folder / "worker.sock").unlink(missing_ok=True)
    for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
        s.answer(f"no worker: {method}", s.request(method, CONTAINER + "example", body), 502, like="does not answer")
    s.start_worker()
    s.answer("the worker again: an answer at once", s.request("GET", CONTAINER + "example"), 200)
    s.tap.equal(s.worker_status, 0, "it had stopped cleanly")
    s.tap.equal([line for line in lines_of(s.nginx_log) if "no live upstreams" in line], [],
                "nginx never gave the worker up")
