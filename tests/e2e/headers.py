#!/usr/bin/python3
"""Headers in: where a token is read from, the namespace, wrapping, overrides, and every bad one.
Headers out: exactly Vault's, once each, with every status and over both versions of HTTP."""
import re
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import BAD_TOKEN, CATALOG, CONTAINER, HSTS, NO_TOKEN, stack  # noqa: E402

UNKNOWN = "hvs." + "0" * 24
ITEM = CONTAINER + "example"
PATCH = [("Content-Type", "application/merge-patch+json")]
SNAPSHOT = [("X-Vault-Recover-Snapshot-Id", "2403d301")]
TOO_LONG = "authentication token exceeds maximum allowed header size of 8192 bytes"
BY_NGINX = "nginx could not read the request"
WRAP = "error parsing X-Vault-Wrap-TTL header: "
NO_DURATION = WRAP + "must be a number of seconds or a duration such as 1h30m"
NEGATIVE = WRAP + "requested wrap ttl cannot be negative"
NOT_OFFERED = "header X-Vault-Wrap-TTL: response wrapping is not offered"
NO_BOOL = "failed to parse X-Vault-Policy-Override header: must be true or false"


def twice(header):
    return f"header {header}: sent more than once"


def control(header):
    return f"header {header}: control characters are not allowed"


def token_headers(good):
    """The headers of a GET of the list, its status, its error text."""
    token, bearer = "X-Vault-Token", "Authorization"
    yield from [
        ([], 403, NO_TOKEN),
        ([(token, good)], 200, None),
        ([("x-vault-token", good)], 200, None),
        ([("X-VAULT-TOKEN", good)], 200, None),
        ([(token, f"   {good}   ")], 200, None),
        ([(bearer, f"Bearer {good}")], 200, None),
        ([(bearer, f"Bearer   {good}  ")], 200, None),
        ([("authorization", f"Bearer {good}")], 200, None),
        # neither
        ([(token, "")], 403, NO_TOKEN),
        ([(bearer, "")], 403, NO_TOKEN),
        ([(bearer, "Bearer")], 403, NO_TOKEN),
        ([(bearer, "Bearer ")], 403, NO_TOKEN),
        ([(bearer, good)], 403, NO_TOKEN),
        ([(bearer, f"bearer {good}")], 403, NO_TOKEN),
        ([(bearer, f"BEARER {good}")], 403, NO_TOKEN),
        ([(bearer, f"Bearer{good}")], 403, NO_TOKEN),
        ([(bearer, f"Token {good}")], 403, NO_TOKEN),
        ([(bearer, "Basic " + "QWxhZGRpbjpvcGVu")], 403, NO_TOKEN),
        ([("Cookie", f"X-Vault-Token={good}")], 403, NO_TOKEN),
        ([("X_Vault_Token", good)], 403, NO_TOKEN),
        ([("Vault-Token", good)], 403, NO_TOKEN),
        # bad ones
        ([(token, UNKNOWN)], 403, BAD_TOKEN),
        ([(bearer, f"Bearer {UNKNOWN}")], 403, BAD_TOKEN),
        ([(token, good + "x")], 403, BAD_TOKEN),
        ([(token, good[:-1])], 403, BAD_TOKEN),
        ([(token, good.swapcase())], 403, BAD_TOKEN),
        ([(token, f"Bearer {good}")], 403, BAD_TOKEN),
        ([(token, f'"{good}"')], 403, BAD_TOKEN),
        ([(token, f"{good} {good}")], 403, BAD_TOKEN),
        ([(token, "root")], 403, BAD_TOKEN),
        ([(token, "' OR true --")], 403, BAD_TOKEN),
        ([(token, "é")], 403, BAD_TOKEN), # sent as ISO 8859-1, and so not UTF-8
        ([(token, "é".encode())], 403, BAD_TOKEN),
        # both
        ([(token, good), (bearer, f"Bearer {UNKNOWN}")], 200, None),
        ([(token, UNKNOWN), (bearer, f"Bearer {good}")], 403, BAD_TOKEN),
        ([(token, ""), (bearer, f"Bearer {good}")], 200, None),
        ([(token, good), (bearer, "Basic x")], 200, None),
        # repeated, also as nginx from 1.23 on joins them
        ([(token, good), (token, good)], 400, twice(token)),
        ([(token, good), (token, UNKNOWN)], 400, twice(token)),
        ([(token, UNKNOWN), ("x-vault-token", good)], 400, twice(token)),
        ([(token, good), (token, "")], 400, twice(token)),
        ([(token, f"{good}, {good}")], 400, twice(token)),
        ([(token, good)] * 9, 400, twice(token)),
        ([(bearer, f"Bearer {good}")] * 2, 400, BY_NGINX),
        ([(bearer, f"Bearer {good}, Bearer {good}")], 400, twice(bearer)),
        # size
        ([(token, "x" * 8192)], 403, BAD_TOKEN),
        ([(token, "x" * 8193)], 431, TOO_LONG),
        ([(bearer, "Bearer " + "x" * 8192)], 403, BAD_TOKEN),
        ([(bearer, "Bearer " + "x" * 8193)], 431, TOO_LONG),
        ([(token, "x" * 16000)], 431, TOO_LONG),
        ([(token, good), (bearer, "Bearer " + "x" * 8193)], 200, None),
        ([(token, "x" * 17000)], 431, "request headers too large"),
        ([(token, good), *[(f"X-{n}", "x" * 15000) for n in range(6)]], 431, "request headers too large"),
        ([(token, good), *[(f"X-{n}", "x" * 60) for n in range(300)]], 200, None),
    ]
    # bytes that nginx lets through
    for byte in (0x01, 0x08, 0x09, 0x1B, 0x1F, 0x7F):
        yield [(token, good.encode() + bytes([byte]) + b"x")], 400, control(token)
        yield [(bearer, b"Bearer " + bytes([byte]) + good.encode())], 400, control(bearer)
    yield [(token, good.encode() + b"\xff")], 403, BAD_TOKEN
    yield [(token, good.encode() + b"\0")], 400, BY_NGINX


# X-Vault-Wrap-TTL, X-Vault-Policy-Override: the value, the error text of the 400, or None.
WRAPPING = [
    *[(value, None) for value in ("", "0", "00", "+0", "-0", "0s", "0m", "0h", "0d", "0ms", "-0s", "0h0m0s", "0.0s")],
    *[(value, NOT_OFFERED) for value in ("1", "60", "+60", "60s", "1m", "1h30m", "1d", "1ns", "0.5s", "0h0m1s")],
    *[(value, NEGATIVE) for value in ("-1", "-60", "-60s", "-1h30m", "-1d")],
    *[(value, NO_DURATION) for value in ("x", "soon", "-", "+", "s", "1x", "1 s", "1.5", "0x10", "1e3", "--1", "1,000",
                                         "é", "1h-30m", "9" * 30, "-" + "9" * 30, "100000000000h", "1s, 1s")],
    ("6\x010", control("X-Vault-Wrap-Ttl")),
]
OVERRIDE = [
    *[(value, None) for value in ("", "1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False")],
    *[(value, NO_BOOL) for value in ("yes", "no", "2", "tRUE", "true,", "true, true", "-1", "é")],
    ("tr\x7fue", control("X-Vault-Policy-Override")),
]

# X-Vault-Namespace: how it may be written comes back as it is, whatever the status.
NAMESPACES = ["team-a", "team-a/", "/team-a", "/team-a/", "//team-a//"]
NO_NAMESPACE = "header X-Vault-Namespace: segments of letters, digits, '_', '-' and '.', 512 bytes at most"
BAD_NAMESPACES = [
    *[(value, NO_NAMESPACE) for value in ("a b", "a//b", "a/../b", "..", ".a", "a,b", "a\"b", "a\\b", "a:b", "<a>",
                                          "%41", "é", b"a\xff", "x" * 512)],
    *[(f"a{byte}b", control("X-Vault-Namespace")) for byte in ("\x01", "\t", "\x1b", "\x7f")],
]

# Method, path, headers, body, and the status, for each that the worker and nginx answer with.
STATUSES = [
    ("GET", ITEM, [], None, 200),
    ("LIST", CATALOG, [], None, 200),
    ("GET", ITEM + "?help=1", [], None, 200),
    ("PUT", ITEM, [], {}, 204),
    ("PUT", ITEM, [], "{", 400),
    ("POST", ITEM + "/", [], {}, 400),
    ("GET", CATALOG + "//x", [], None, 400),
    ("RECOVER", ITEM, [], None, 400),
    ("GET", CATALOG, [("X-Vault-Token", UNKNOWN)], None, 403),
    ("GET", CONTAINER + "absent", [], None, 404),
    ("DELETE", CONTAINER + "absent", [], None, 404),
    ("GET", CATALOG + "/docker/x", [], None, 404),
    ("PATCH", ITEM, PATCH, {}, 405),
    ("RECOVER", ITEM, SNAPSHOT, None, 405),
    ("FROBNICATE", ITEM, [], None, 405),
    ("OPTIONS", ITEM, [], None, 405),
    ("PATCH", ITEM, [], {}, 400),
    ("PATCH", ITEM, [("Content-Type", "text/plain")], {}, 415),
    ("GET", CATALOG, [("X-Vault-Token", "x" * 8193)], None, 431),
]
NGINX_STATUSES = [
    ("GET", "/v1/sys/health", [], None, 404),
    ("GET", CATALOG + "%zz", [], None, 400),
    ("TRACE", CATALOG, [], None, 405),
    ("PUT", ITEM, [], "x" * (1024 * 1024 + 1), 413),
]
AWAY = [("GET", ITEM, [], None, 503), ("PUT", ITEM, [], {}, 503)]


def send(s, method, path, headers, body):
    """With the root token, unless the headers have one."""
    own = any(name == "X-Vault-Token" for name, _ in headers)
    return s.request(method, path, body, headers=headers, **({"token": None} if own else {}))


def over_http2(s, method, path, headers, body):
    """The status and the headers, in the order of their names."""
    own = any(name == "X-Vault-Token" for name, _ in headers)
    (s.folder / "body").write_text(body if isinstance(body, str) else "{}")
    (s.folder / "headers").write_text("".join(f"{name}: {value}\n" for name, value in
                                              [*headers, *([] if own else [("X-Vault-Token", s.root_token)])]))
    done = s.curl("--http2", "--request", method, "--path-as-is", "--dump-header", "-", "--output", "/dev/null",
                  "--header", f"@{s.folder / 'headers'}",
                  *(["--data-binary", f"@{s.folder / 'body'}"] if body is not None else []),
                  *(["--header", "Content-Type:"] if "Content-Type" not in dict(headers) else []),
                  f"https://localhost:{s.client.port}{path}")
    (s.folder / "headers").unlink()
    first, *lines = done.stdout.replace("\r", "").strip().split("\n")
    return first.strip(), without_values(tuple(line.split(": ", 1)) for line in lines)


def expected_headers(status, length, echoed=None, bare=False):
    """All but Date and Connection, which are HTTP's own; bare: a 200 that is no data has no tag."""
    return sorted([
        ("Server", "nginx"), ("Content-Type", "application/json"), ("Cache-Control", "no-store"),
        ("Strict-Transport-Security", HSTS),
        *([("Content-Length", str(length))] if status != 204 else []),
        *([("Retry-After", "1")] if status == 503 else []),
        *([("X-Vault-Namespace", echoed)] if echoed else []),
        *([("ETag", "a tag")] if status == 200 and not bare else []),
    ])


def without_values(headers):
    """Whatever the tag is: see etag.py."""
    return sorted((name, "a tag" if name.lower() == "etag" and re.fullmatch('W/"[0-9a-f]{32}"', value) else value) for name, value in headers)


def headers_of(response):
    return without_values(pair for pair in response.headers if pair[0] not in ("Date", "Connection"))


def check_out(s, request):
    method, path, headers, body, status = request
    response = send(s, method, path, headers, body)
    bare = "help=" in path
    s.tap.equal((response.status, bool(response.reason), headers_of(response), len(response.values("Date"))),
                (status, True, expected_headers(status, len(response.body), bare=bare), 1), f"{status}: {method} {path}")
    first, got = over_http2(s, method, path, headers, body)
    length = dict(got).get("content-length", "")
    wanted = sorted([*((name.lower(), value) for name, value in expected_headers(status, length, bare=bare)),
                     ("date", dict(got).get("date"))])
    s.tap.equal((first, got), (f"HTTP/2 {status}", wanted), "the same over HTTP/2")


def check_error(s, name, response, text):
    """200 if there is no text, else 400 with it."""
    if text is None:
        s.answer(name, response, 200)
    else:
        s.answer(name, response, 400, errors=[text])


TOKENS = list(token_headers("hvs." + "x" * 24)) # counted here, sent with the real token below
PLAN = (len(TOKENS) + len(WRAPPING) + len(OVERRIDE) + len(NAMESPACES) + 2 * len(BAD_NAMESPACES) + 6
        + len(STATUSES) + 2 * (len(STATUSES) + len(NGINX_STATUSES) + len(AWAY)))
with stack(plan=PLAN) as s:
    s.expect("nginx", "client sent", "client intended to send too large")
    s.expect("worker", "STORAGE_AWAY", r"(?i)connect|storage|database")
    s.expect("postgresql", "FATAL:  terminating connection due to administrator command", "FATAL:  the database system is (shutting down|starting up)")
    s.register("example")

    for headers, status, text in token_headers(s.root_token):
        sent = ", ".join(f"{name}: {str(value).replace(s.root_token, 'TOKEN')[:30]}" for name, value in headers[:3])
        response = s.request("GET", ITEM, token=None, headers=headers)
        s.answer(f"{sent or 'no header'}: {status}", response, status, **({"errors": [text]} if text else {}))
    for header, values in (("X-Vault-Wrap-TTL", WRAPPING), ("X-Vault-Policy-Override", OVERRIDE)):
        for value, text in values:
            check_error(s, f"{header}: {value!r}", s.request("GET", ITEM, headers=[(header, value)]), text)
    for header in ("X-Vault-Wrap-TTL", "X-Vault-Policy-Override", "X-Vault-Namespace"):
        name = "X-Vault-Wrap-Ttl" if "Wrap" in header else header
        check_error(s, f"{header} twice", s.request("GET", ITEM, headers=[(header, "0")] * 2), twice(name))

    # The namespace comes back, as it was written.
    s.cluster.sql("INSERT INTO runtime_catalog.namespace (path, parent_id)"
                  " SELECT 'team-a/', id FROM runtime_catalog.namespace WHERE path = ''")
    s.request("PUT", ITEM, {}, headers=[("X-Vault-Namespace", "team-a")])
    for namespace in NAMESPACES:
        response = s.request("GET", ITEM, headers=[("X-Vault-Namespace", namespace)])
        s.tap.equal((response.status, headers_of(response)),
                    (200, expected_headers(200, len(response.body), namespace)), f"{namespace} comes back")
    for method, path, headers, body, status in STATUSES:
        response = send(s, method, path, [*headers, ("X-Vault-Namespace", "/team-a")], body)
        s.tap.equal((response.status, headers_of(response)),
                    (status, expected_headers(status, len(response.body), "/team-a", "help=" in path)),
                    f"with a {status}, too: {method} {path}")
    for namespace, status in (("absent", 404), ("", 200)):
        response = s.request("GET", ITEM, headers=[("X-Vault-Namespace", namespace)])
        s.tap.equal((response.status, response.header("X-Vault-Namespace")), (status, namespace or None),
                    f"{namespace or 'an empty one'}: {status}")
    foreign = s.request("GET", ITEM, token=s.token("root", namespace="team-a/"), headers=[("X-Vault-Namespace", "x")])
    s.tap.equal((foreign.status, foreign.header("X-Vault-Namespace")), (403, "x"), "outside of a token's own: 403")
    for namespace, text in BAD_NAMESPACES:
        response = s.request("GET", ITEM, headers=[("X-Vault-Namespace", namespace)])
        check_error(s, f"the namespace {str(namespace)[:20]!r}", response, text)
        s.tap.equal(headers_of(response), expected_headers(400, len(response.body)), "which does not come back")

    for request in STATUSES + NGINX_STATUSES:
        check_out(s, request)
    s.cluster.stop()
    for request in AWAY:
        check_out(s, request)
    s.cluster.start()
