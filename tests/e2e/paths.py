#!/usr/bin/python3
"""Every spelling of a path and of a query: what reaches a runtime, what is refused and how, and
which parameters a client is warned about. methods.py has the methods."""
import re
import sys
from urllib.parse import quote

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, CONTAINER, NOT_ALLOWED, stack  # noqa: E402

UNSUPPORTED = ["unsupported path"]
BAD_TYPE = ['unsupported path: the plugin runtime type must be "container"']
CANONICAL = ["path: must be canonical, without //, /./ and /../"]
CONTROL = ["path: control characters are not allowed"]
BAD_UTF8 = ["path: not valid UTF-8"]
BY_NGINX = ["nginx could not read the request"]
ELSEWHERE = ["no handler for this path"]
SLASH = ["cannot write to a path ending in '/'"]

# --- names: every byte, at each place of a name, and every length that is near a limit

PLACES = {"first": "%{:02x}first", "in the middle": "in%{:02x}middle", "last": "last%{:02x}", "alone": "%{:02x}"}
LENGTHS = [1, 2, 3, 254, 255, 256, 257, 1000, 4096 - len(CONTAINER), 4097 - len(CONTAINER)]


def name_answer(method, byte, place):
    """What GET of an absent runtime, or PUT, gets for such a name."""
    name = PLACES[place].format(byte)
    path = re.sub("%(..)", lambda match: chr(int(match[1], 16)), name)
    if byte == 0:
        return 400, BY_NGINX
    if byte > 0x7F:
        return 400, BAD_UTF8
    if byte < 0x20 or byte == 0x7F:
        return 400, CONTROL
    if path.startswith("/") or path == ".":
        return 400, CANONICAL
    if path.endswith("/") and method == "PUT":
        return 400, SLASH
    if not re.fullmatch(r"\w(([\w.-]+)?\w)?", path, re.ASCII):
        return 404, UNSUPPORTED
    return (204, None) if method == "PUT" else (404, [])


def length_answer(method, length):
    if len(CONTAINER) + length > 4096:
        return 400, ["path: 4096 bytes at most"]
    if length > 255:
        return 400, ["name: 255 bytes at most"]
    return (200 if method == "GET" else 204), None


# --- spellings of the path of the runtime "A", which is there, as "a" is; and what is not one

REACHES = [
    "/v1/sys/plugins/runtimes/catalog/container/A",
    "/v1/sys/plugins/runtimes/catalog/container/%41",
    "/v1/sys/plugins/runtimes/catalog/%63ontainer/A",
    "/v1/sys/plugins/runtimes/catalog/container%2FA",
    "/v1/sys/plugins/runtimes/catalog/container%2fA",
    "/v1/sys/plugins/runtimes/catalog%2Fcontainer%2FA",
    "/v1/sys%2Fplugins%2Fruntimes%2Fcatalog%2Fcontainer%2FA",
    "/v1%2Fsys/plugins/runtimes/catalog/container/A",
    "/%761/sys/plugins/runtimes/catalog/container/A",
    "/v1/sys/plugins/runtimes/catalog/container/A?",
    "/v1/sys/plugins/runtimes/catalog/container/A?&&",
    "https://localhost/v1/sys/plugins/runtimes/catalog/container/A",
    "https://elsewhere.example/v1/sys/plugins/runtimes/catalog/container/%41",
    "http://localhost:1/v1/sys/plugins/runtimes/catalog/container/A",
]

REFUSED = [
    # letters
    (CONTAINER + "b", 404, []),
    (CATALOG + "/Container/A", 404, BAD_TYPE),
    (CATALOG + "/CONTAINER/A", 404, BAD_TYPE),
    (CATALOG + "/docker/A", 404, BAD_TYPE),
    (CATALOG + "/unsupported/A", 404, BAD_TYPE),
    (CATALOG + "/containe/A", 404, BAD_TYPE),
    (CATALOG + "/containers/A", 404, BAD_TYPE),
    (CATALOG + "/container%20/A", 404, BAD_TYPE),
    (CATALOG + "/%20/A", 404, BAD_TYPE),
    (CATALOG + "/%2A/A", 404, BAD_TYPE),
    ("/v1/sys/Plugins/runtimes/catalog/container/A", 404, ELSEWHERE),
    ("/V1/sys/plugins/runtimes/catalog/container/A", 404, ELSEWHERE),
    ("/v1/sys/plugins/runtimes/catalogue/container/A", 404, ELSEWHERE),
    ("/v2/sys/plugins/runtimes/catalog/container/A", 404, ELSEWHERE),
    ("/sys/plugins/runtimes/catalog/container/A", 404, ELSEWHERE),
    ("/v1/sys/plugins/catalog/container/A", 404, ELSEWHERE),
    # dots, slashes
    (CATALOG + "//container/A", 400, CANONICAL),
    (CATALOG + "/container//A", 400, CANONICAL),
    (CATALOG + "/container/A//", 400, CANONICAL),
    (CATALOG + "//", 400, CANONICAL),
    ("//v1/sys/plugins/runtimes/catalog", 400, CANONICAL),
    ("/v1//sys/plugins/runtimes/catalog", 400, CANONICAL),
    (CATALOG + "/container/%2FA", 400, CANONICAL),
    (CATALOG + "/container%2F/A", 400, CANONICAL),
    (CATALOG + "/./container/A", 400, CANONICAL),
    (CATALOG + "/container/./A", 400, CANONICAL),
    (CATALOG + "/container/A/.", 400, CANONICAL),
    (CATALOG + "/container/%2e/A", 400, CANONICAL),
    (CATALOG + "/.", 400, CANONICAL),
    (CATALOG + "/container/../container/A", 400, CANONICAL),
    (CATALOG + "/container/B/../A", 400, CANONICAL),
    (CATALOG + "/container/%2e%2e/container/A", 400, CANONICAL),
    (CATALOG + "/container/%2E./container/A", 400, CANONICAL),
    (CATALOG + "/container/..%2Fcontainer/A", 400, CANONICAL),
    (CATALOG + "/container%2F..%2Fcontainer%2FA", 400, CANONICAL),
    (CATALOG + "/container/x/..", 400, CANONICAL),
    ("/v1/sys/x/../plugins/runtimes/catalog", 400, CANONICAL),
    ("/v1/x/%2e%2e/sys/plugins/runtimes/catalog", 400, CANONICAL),
    (CATALOG + "/../../../../../x", 404, ELSEWHERE),
    (CATALOG + "/../../../../../..", 400, BY_NGINX),
    (CONTAINER + "A#b", 400, CANONICAL),
    (CONTAINER + "...", 404, UNSUPPORTED),
    (CONTAINER + "a..b", 400, ['name: ".." is not allowed']),
    (CONTAINER + "..a", 404, UNSUPPORTED),
    # other signs, plain and escaped
    (CONTAINER + "A+b", 404, UNSUPPORTED),
    (CONTAINER + "A%2Bb", 404, UNSUPPORTED),
    (CONTAINER + "A%20b", 404, UNSUPPORTED),
    (CONTAINER + "A;b", 404, UNSUPPORTED),
    (CONTAINER + "A%3Fb=c", 404, UNSUPPORTED),
    (CONTAINER + "A%23b", 404, UNSUPPORTED),
    (CONTAINER + "A%27%3B--", 404, UNSUPPORTED),
    (CONTAINER + "A&b", 404, UNSUPPORTED),
    (CONTAINER + "{A}", 404, UNSUPPORTED),
    (CONTAINER + "*", 404, UNSUPPORTED),
    (CONTAINER + "%C3%A9", 404, UNSUPPORTED),
    (CONTAINER + "A%C3%A9", 404, UNSUPPORTED),
    (CONTAINER + "%D0%90", 404, UNSUPPORTED), # a letter that looks like A
    (CONTAINER + "%EF%BC%A1", 404, UNSUPPORTED), # a wide A
    *((CONTAINER + "A" + quote(c), 400, CONTROL) # no control characters to ASCII, but none that show
      for c in "\xa0\xad\u200b\u2028\u202e\u3000\ufeff\ue000\U000e0001\U0010fffd"),
    (CONTAINER + "A%C2%85", 400, CONTROL),
    (CONTAINER + "A%0D%0AX-Evil:1", 400, CONTROL),
    (CONTAINER + "A%1B[2J", 400, CONTROL),
    (CONTAINER + "A%7F", 400, CONTROL),
    # escapes
    (CONTAINER + "A%", 400, BY_NGINX),
    (CONTAINER + "A%4", 400, BY_NGINX),
    (CONTAINER + "A%zz", 400, BY_NGINX),
    (CONTAINER + "A%00", 400, BY_NGINX),
    (CONTAINER + "A%00b", 400, BY_NGINX),
    (CONTAINER + "A%u0041", 400, BY_NGINX),
    (CONTAINER + "%2541", 404, UNSUPPORTED), # decoded once, and not twice
    (CATALOG + "/container%252FA", 404, BAD_TYPE),
    (CATALOG + "/container/%252e%252e/A", 404, UNSUPPORTED),
    (CONTAINER + "%C0%AF", 400, BAD_UTF8), # an overlong slash
    (CONTAINER + "%C1%81", 400, BAD_UTF8), # an overlong A
    (CONTAINER + "%E0%80%AF", 400, BAD_UTF8),
    (CONTAINER + "%ED%A0%80", 400, BAD_UTF8), # half of a surrogate pair
    (CONTAINER + "%F4%90%80%80", 400, BAD_UTF8), # beyond Unicode
    (CONTAINER + "A%C3", 400, BAD_UTF8),
    # the escaped question mark, where it is not Terraform's
    (CATALOG + "%3F", 404, UNSUPPORTED),
    (CATALOG + "%3Flist=true", 404, UNSUPPORTED),
    (CATALOG + "%3FType=container", 404, UNSUPPORTED),
    (CATALOG + "/%3Ftype=container", 404, BAD_TYPE),
    (CATALOG + "%253Ftype=container", 404, ELSEWHERE),
    (CONTAINER + "A%3Ftype=container", 404, UNSUPPORTED),
    # the request target in other forms
    ("https://localhost/v1/sys/plugins/runtimes/catalog//container/A", 400, CANONICAL),
    ("https://localhost/elsewhere", 404, ELSEWHERE),
    ("https://localhost", 404, ELSEWHERE),
    ("*", 400, BY_NGINX),
    ("v1/sys/plugins/runtimes/catalog/container/A", 400, BY_NGINX),
    ("\\v1\\sys\\plugins\\runtimes\\catalog", 400, BY_NGINX),
]

# Bytes that a client library would not send: the target, the status.
RAW = [
    (CONTAINER.encode() + b"A b", 400), (CONTAINER.encode() + b"A\tb", 400), (CONTAINER.encode() + b"A\x01", 400),
    (CONTAINER.encode() + b"A\x7f", 400), (CONTAINER.encode() + b"A\xff", 400),
    (CONTAINER.encode() + b"A\xc0\xaf", 400), (CONTAINER.encode() + b"A\x00", 400), (CONTAINER.encode() + "é".encode(), 404),
    (CATALOG.encode() + b"?type=\xff", 400), (CATALOG.encode() + "?é=1".encode(), 200),
]

# --- queries

IGNORED = "Endpoint ignored these unrecognized parameters: [{}]"
REPLACED = "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{}]"
ITEM = CONTAINER + "A"

# Method, path, query, and the warnings of the 200 that it gets.
WARNINGS = [
    ("GET", CATALOG, "", None),
    ("GET", CATALOG, "&", None),
    ("GET", CATALOG, "type=container", None),
    ("GET", CATALOG, "type=", None),
    ("GET", CATALOG, "list=true", None),
    ("GET", CATALOG, "help=", None),
    ("GET", CATALOG, "help", None),
    ("GET", CATALOG, "help=&help=1", None), # the first one counts
    ("GET", CATALOG, "a=1", [IGNORED.format("a")]),
    ("GET", CATALOG + "/", "a=1", [IGNORED.format("a")]),
    ("LIST", CATALOG, "a=1", [IGNORED.format("a")]),
    ("LIST", CATALOG + "/", "a=1", [IGNORED.format("a")]),
    ("GET", CATALOG, "list=true&a=1", [IGNORED.format("a")]),
    ("GET", CATALOG, "a", [IGNORED.format("a")]),
    ("GET", CATALOG, "a=", [IGNORED.format("a")]),
    ("GET", CATALOG, "=1", [IGNORED.format("")]),
    ("GET", CATALOG, "a=1&a=2", [IGNORED.format("a")]),
    ("GET", CATALOG, "b=1&a=2&B=3&_=4", [IGNORED.format("B _ a b")]),
    ("GET", CATALOG, "b=1&type=container&a=2", [IGNORED.format("a b")]),
    ("GET", CATALOG, "Type=container", [IGNORED.format("Type")]),
    ("GET", CATALOG, "name=A", [IGNORED.format("name")]),
    ("GET", CATALOG, "%61=1", [IGNORED.format("a")]),
    ("GET", CATALOG, "a+b=1", [IGNORED.format("a b")]),
    ("GET", CATALOG, "a%20b=1", [IGNORED.format("a b")]),
    ("GET", CATALOG, "a%2Bb=1", [IGNORED.format("a+b")]),
    ("GET", CATALOG, "a%26b=1", [IGNORED.format("a&b")]),
    ("GET", CATALOG, "%3Cb%3E=1", [IGNORED.format("<b>")]),
    ("GET", CATALOG, "%C3%A9=1&z=2", [IGNORED.format("z é")]),
    ("GET", CATALOG, "?a=1", [IGNORED.format("?a")]),
    ("GET", CATALOG, "list=false", [IGNORED.format("list")]),
    ("GET", CATALOG, "list=", [IGNORED.format("list")]),
    ("LIST", CATALOG, "list=true", [IGNORED.format("list")]), # it is GET that knows this one
    ("LIST", CATALOG, "list=perhaps", [IGNORED.format("list")]),
    ("GET", CATALOG, "list=true&list=perhaps", None), # the first one counts
    ("GET", CATALOG, "&".join(f"p{n:03}=1" for n in range(999, -1, -1)),
     [IGNORED.format(" ".join(f"p{n:03}" for n in range(1000)))]),
    ("GET", CATALOG + "%3Ftype=container", "a=1", [IGNORED.format("a")]),
    ("GET", CATALOG + "%3Ftype=container&b=1", "a=1", [IGNORED.format("a b")]),
    *[("GET", ITEM, f"{name}=1", None)
      for name in ("oci_runtime", "cgroup_parent", "cpu_nanos", "memory_bytes", "rootless")],
    ("GET", ITEM, "a=1", [IGNORED.format("a")]),
    ("GET", ITEM, "list=false", [IGNORED.format("list")]),
    ("GET", ITEM, "OCI_runtime=1", [IGNORED.format("OCI_runtime")]),
    ("GET", ITEM, "type=docker", [REPLACED.format("type")]),
    ("GET", ITEM, "type=", [REPLACED.format("type")]),
    ("GET", ITEM, "type=a&type=b", [REPLACED.format("type")]),
    ("GET", ITEM, "type=docker&name=B", [REPLACED.format("name type")]),
    ("GET", ITEM, "b=1&name=B&a=2", [IGNORED.format("a b"), REPLACED.format("name")]),
]

# Requests that have nothing to say say nothing of parameters either: method, query, body, status, errors.
SILENT = [
    ("PUT", "a=1&type=docker", {}, 204, None),
    ("POST", "list=perhaps", {"unknown": 1, "type": 1, "name": "B"}, 204, None),
    ("DELETE", "a=1&name=B", None, 204, None),
    ("GET", "a=1&name=B", None, 404, []),
    ("DELETE", "a=1", None, 404, ['runtime "silent" does not exist']),
]

TRUE = ["1", "t", "T", "TRUE", "true", "True"]
FALSE = ["0", "f", "F", "FALSE", "false", "False", ""]
NEITHER = ["yes", "no", "2", "-1", "01", "tRUE", "TrUe", "truE", "fALSE", "y", "on", "+true", "true+", "true%00",
           "null", "[]", "%22true%22", "true;", "%C3%A9"]

# ?type=, its status, and whether the runtimes are listed, or what the error says.
TYPES = [
    ("type=container", 200, True), ("type=", 200, True), ("type", 200, True), ("type=%63ontainer", 200, True),
    ("type=unsupported", 200, False),
    ("type=docker", 400, '^"docker" is not a supported plugin runtime type$'),
    ("type=Container", 400, '^"Container" is not'), ("type=CONTAINER", 400, '^"CONTAINER" is not'),
    ("type=container%20", 400, '^"container " is not'), ("type=+container", 400, '^" container" is not'),
    ("type=container,container", 400, "is not a supported"), ("type=container;a=b", 400, "is not a supported"),
    ("type=container/", 400, "is not a supported"), ("type=*", 400, '^"\\*" is not'),
    ("type=%3Cb%3E", 400, '^"<b>" is not'),
    ("type=" + "x" * 5000, 400, r"xxx\.\.\.$"), ("type=" + "%C3%A9" * 2500, 400, r"é\.\.\.$"),
    ("type=container&type=container", 400, "given more than once"),
    ("type=&type=container", 400, "given more than once"), ("type=container&type=docker", 400, "given more than once"),
    ("type[]=container", 200, True),
]

# Terraform's question mark is part of the path, and so its query is escaped as a path is.
TERRAFORMS = [
    ("%3Ftype=container", 200, True), ("%3ftype=container", 200, True), ("%3Ftype=", 200, True),
    ("%3Ftype=unsupported", 200, False), ("%3Ftype=docker", 400, '^"docker" is not'),
    ("%3Ftype=Container", 400, '^"Container" is not'),
    ("%3Ftype=container?type=container", 400, "given more than once"),
    ("%3Ftype=container&type=docker", 400, "given more than once"), ("%3Ftype%3Dcontainer", 200, True),
    ("%3Ftype=%25zz", 400, "^query: "), ("%3Ftype=%zz", 400, "could not read"), ("%3Ftype=container/", 400, "is not"),
]

# Queries that are not escaped as they should be.
MALFORMED = ["type=%zz", "type=%", "type=%4", "%zz=1", "a=%00", "a=%ff", "a=%C0%AF", "a=1&b=%g0", "%"]


def check(s, name, response, status, errors):
    if errors is None:
        s.answer(name, response, status)
    else:
        s.answer(name, response, status, errors=errors)


def wrong_answers(s, cases, connection):
    """Of (method, path, body, status, errors), those that are answered otherwise."""
    for method, path, body, (status, errors) in cases:
        response = s.request(method, path, body, connection=connection)
        wrong = list(s.faults_of(response, status))
        if wrong or errors is not None and response.json != {"errors": errors}:
            yield f"{method} {path}, wanted {status} {errors}: {response}"


def listed(response):
    return response.data and response.data["runtimes"] != []


PLAN = (2 * len(PLACES) + 3 + len(REACHES) + len(REFUSED) + len(RAW) + len(WARNINGS) + len(SILENT)
        + 2 * len(TRUE + FALSE + NEITHER) + 3 + 3 * len(TYPES) + 2 * len(TERRAFORMS) + 2 * len(MALFORMED) + 2)
with stack(plan=PLAN) as s:
    s.expect("nginx", "client sent")
    connection = s.client.connect()

    for place, pattern in PLACES.items():
        for method, body in (("GET", None), ("PUT", {})):
            cases = [(method, CONTAINER + pattern.format(byte), body, name_answer(method, byte, place))
                     for byte in range(256)]
            wrong = list(wrong_answers(s, cases, connection))
            s.tap.ok(not wrong, f"{method}: each byte, {place}", *wrong)
    for method, body in (("PUT", {}), ("GET", None), ("DELETE", None)):
        cases = [(method, CONTAINER + "x" * length, body, length_answer(method, length))
                 for length in LENGTHS]
        wrong = list(wrong_answers(s, cases, connection))
        s.tap.ok(not wrong, f"{method}: each length", *wrong)

    s.cluster.sql("DELETE FROM runtime_catalog.runtime")
    s.register("A", cpu_nanos=65)
    s.register("a", cpu_nanos=97)
    for path in REACHES:
        response = s.request("GET", path, connection=connection)
        s.tap.equal((response.status, response.data and response.data["cpu_nanos"]), (200, 65), f"A: {path}")
    for path, status, errors in REFUSED:
        check(s, f"{status}: {path}", s.request("GET", path, connection=connection), status, errors)
    for target, status in RAW:
        request = b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nX-Vault-Token: " + s.root_token.encode() + b"\r\n\r\n"
        s.answer(f"{status}: {target}", s.client.raw(request), status)

    for method, path, query, warnings in WARNINGS:
        response = s.request(method, f"{path}?{query}", connection=connection)
        s.tap.equal((response.status, response.key("warnings")), (200, warnings), f"{method} {path}?{query[:40]}")
    for method, query, body, status, errors in SILENT:
        check(s, f"{method} …?{query}: {status}",
              s.request(method, f"{CONTAINER}silent?{query}", body, connection=connection), status, errors)

    s.request("PUT", CONTAINER + "written?cpu_nanos=5&rootless=true")
    stored = s.request("GET", CONTAINER + "written").data
    s.tap.equal([stored["cpu_nanos"], stored["rootless"]], [0, False], "a write takes nothing from its query")

    # Which operation it is shows in what it needs.
    may = {name: s.token_with(f"only-{name}", "*", name, "sudo") for name in ("read", "list")}
    for value in TRUE + FALSE + NEITHER:
        wanted = (200, 403) if value in TRUE else (403, 200) if value in FALSE else (400, 400)
        got = tuple(s.request("GET", f"{CATALOG}?list={value}", token=may[name], connection=connection).status
                    for name in ("list", "read"))
        s.tap.equal(got, wanted, f"list={value}: statuses for who may list, and for who may read")
        got = s.request("GET", f"{ITEM}?list={value}", connection=connection)
        s.answer(f"list={value} of a runtime", got, {200: 404, 403: 200, 400: 400}[wanted[0]])
    for query, status in (("list=true&list=false", 200), ("list=false&list=true", 403), ("List=true", 403)):
        s.answer(f"{query}, by who may list", s.request("GET", f"{CATALOG}?{query}", token=may["list"]), status)

    requests = [(method, f"{CATALOG}{rest}", status, wanted) for query, status, wanted in TYPES
                for method, rest in (("GET", f"?{query}"), ("LIST", f"/?{query}"), ("GET", f"?{query}&list=true"))]
    requests += [(method, CATALOG + rest, status, wanted) for rest, status, wanted in TERRAFORMS
                 for method in ("GET", "LIST")]
    for method, path, status, wanted in requests:
        response = s.request(method, path, connection=connection)
        if status == 200:
            s.tap.equal((response.status, listed(response)), (200, wanted), f"{method} {path[:99]}")
        else:
            s.answer(f"{method} {path[:99]}", response, status, like=wanted)
    for query in MALFORMED:
        for method, path in (("GET", CATALOG), ("DELETE", ITEM)):
            s.answer(f"{method} …?{query}", s.request(method, f"{path}?{query}"), 400, like="^query: ")
    s.answer("nothing of it did any harm", s.request("GET", ITEM), 200)
    connection.close()
