#!/usr/bin/python3
"""nginx's part: TLS, what it hands on, what it logs, and clients that are slow. What it refuses is
in nginx_errors.py."""
import re
import ssl
import socket
import sys
import warnings

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from harness import CATALOG, CHECKOUT, CONTAINER, stack  # noqa: E402

# directive, value, file: each wait that the README promises a bound for.
NGINX = CHECKOUT / "nginx"
WAITS = re.findall(r"^\|[^|]+\| `(\w+)` \| `(\w+)` \| `([\w.]+)` \|", (NGINX / "README.md").read_text(), re.M)
UNKEPT = [row for row in WAITS if not re.search(
    rf"^ *{row[0]} {row[1]};", (NGINX / "snippets" / row[2]).read_text(), re.M)]
BOUNDS = {(path.name, name) for path in (NGINX / "snippets").glob("*.conf")
          for name in re.findall(r"^ *(\w+_time(?:out)?) ", path.read_text(), re.M)}


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


with stack(plan=15) as s:
    s.tap.equal(UNKEPT, [], "the snippets bound each wait as the README says")
    s.tap.equal(BOUNDS - {(file, name) for name, _, file in WAITS}, {("tls.conf", "ssl_session_timeout")},
                "which names all of theirs")
    s.register("example")
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
    s.request("GET", CATALOG + "ue?secret=hush")
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
