#!/usr/bin/python3
"""The catalog of plugins: each field with each kind of value, versions, types, names, paths and
methods, warnings, lists to the byte, who may do what, and what a plugin and its runtime refuse
each other."""
import json
import sys
import urllib.parse

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, CONTAINER, NOT_ALLOWED, stack  # noqa: E402

PLUGINS = "/v1/sys/plugins/catalog"
SUM = "d130b9a0fbfddef9709d8ff92e5e6053ccd246b78632fc03b8548457026961e9"
BINARY = {"sha256": SUM, "command": "c"}
RECORD = {"args": [], "builtin": False, "command": "c", "name": "p", "sha256": SUM, "version": ""}
PATCH = [("Content-Type", "application/merge-patch+json")]
NO_SUM = ("must provide at least one of sha256 or version: use sha256 for binary registration (version optional) "
          "or version only for artifact registration")
NO_COMMAND = "must provide at least one of command or oci_image"
BAD_SUM = "sha256: must be 64 hexadecimal digits"


def no_version(text):
    return (f'version "{text}" is not a valid semantic version: must be like v1.2.3, v1.2.3-rc1 or '
            "v1.2.3+build")


# --- what a body leads to: the record without its name, or the one error text. Each is
# registered over a record of other values, which a refusal leaves as it was.

OTHER = {"args": ["o"], "command": "other", "oci_image": "o", "runtime": "gvisor", "sha256": "0" * 64}

# Kinds of values that a field does not take.
NO_STRINGS = [0, -1, 1.5, [], ["c"], {}, {"a": "b"}]
NO_LISTS = [0, 1.5, True, False, {}, {"a": "b"}, [1], [None], ["a", True], [["a"]], [{}]]
NO_BOOLEANS = [2, 1.5, -1, "yes", "tRUE", [], [True], {}]
KINDS = [None, True, False, 0, 1.5, "", "x", [], ["x"], {}, {"x": 1}]
REFUSED = [(dict(BINARY, **{field: value}), f"{field}: must be {wanted}")
           for fields, values, wanted in [(["sha256", "sha_256", "command", "oci_image", "runtime", "version"], NO_STRINGS, "a string"),
                                          (["args", "env"], NO_LISTS, "a list of strings"),
                                          (["download"], NO_BOOLEANS, "true or false")]
           for field in fields for value in values]
TAKEN = [
    (BINARY, {}),
    # nothing
    *((dict(BINARY, **{field: None}), {}) for field in ["sha_256", "oci_image", "runtime", "version", "args", "env", "download"]),
    *((dict(BINARY, **{field: ""}), {}) for field in ["sha_256", "oci_image", "runtime", "version", "args", "env", "download"]),
    # the path decides, whatever the body says
    *((dict(BINARY, **{field: value}), {}) for field in ["type", "name"] for value in KINDS),
    # what nobody knows
    *((dict(BINARY, note=value), {}) for value in KINDS),
    (dict(BINARY, download=False), {}),
    (dict(BINARY, download="f"), {}),
    # the sum
    ({"sha_256": SUM, "command": "c"}, {}),
    ({"sha256": "", "sha_256": SUM, "command": "c"}, {}),
    ({"sha256": SUM, "sha_256": "nonsense", "command": "c"}, {}),
    ({"sha256": SUM.upper(), "command": "c"}, {}),
    ({"sha256": "f" * 64, "command": "c"}, {"sha256": "f" * 64}),
    # command and arguments
    (dict(BINARY, command=True), {"command": "1"}),
    (dict(BINARY, command="./bin/c"), {"command": "./bin/c"}),
    (dict(BINARY, command="c -a"), {"args": ["-a"]}),
    (dict(BINARY, command="c -a  b "), {"args": ["-a", "", "b", ""]}),
    (dict(BINARY, command=" c"), {"command": "", "args": ["c"]}),
    (dict(BINARY, command="c -a", args=[]), {"args": ["-a"]}),
    (dict(BINARY, command="c\t-a"), {"command": "c\t-a"}),
    (dict(BINARY, command="ü" * 2048), {"command": "ü" * 2048}),
    (dict(BINARY, args=["-a", "b c", "", " d "]), {"args": ["-a", "b c", "", "d"]}),
    (dict(BINARY, args="-a b,c"), {"args": ["-a b,c"]}),
    (dict(BINARY, args=["<&>\u2028\"\\"]), {"args": ["<&>\u2028\"\\"]}),
    (dict(BINARY, args=["{", "NULL", "a,b", '"', "\\"]), {"args": ["{", "NULL", "a,b", '"', "\\"]}),
    (dict(BINARY, args=["x" * 4096]), {"args": ["x" * 4096]}),
    # the environment is never shown
    (dict(BINARY, env=["A=1", "B="]), {}),
    (dict(BINARY, env="A=1"), {}),
    (dict(BINARY, env=["x" * 4096]), {}),
    # images and runtimes
    ({"sha256": SUM, "oci_image": "example.com/i"}, {"command": "", "oci_image": "example.com/i"}),
    (dict(BINARY, oci_image="i"), {"oci_image": "i"}),
    (dict(BINARY, oci_image="i", runtime="gvisor"), {"oci_image": "i", "runtime": "gvisor"}),
    (dict(BINARY, runtime="gvisor"), {"runtime": "gvisor"}),
    (dict(BINARY, oci_image="x" * 4096), {"oci_image": "x" * 4096}),
]


def no_runtime(name):
    return f'specified plugin runtime "{name}", but failed to retrieve config: plugin runtime not found'


# In the order in which they are looked for.
REFUSED += [
    ({}, NO_SUM),
    ({"command": "c"}, NO_SUM),
    ({"oci_image": "i"}, NO_SUM),
    (dict(BINARY, version="latest"), no_version("latest")),
    (dict(BINARY, version="v1.2.3+builtin"), "version \"v1.2.3+builtin\" is not allowed because 'builtin' is a reserved metadata identifier"),
    (dict(BINARY, version="1+a.builtin"), "version \"v1.0.0+a.builtin\" is not allowed because 'builtin' is a reserved metadata identifier"),
    (dict(BINARY, version="1-" + "x" * 254), "version: 255 bytes at most"),
    (dict(BINARY, version="1-" + "x" * 253), "version: 255 bytes of printable ASCII at most"),
    (dict(BINARY, download=True), "download is an enterprise only feature"),
    ({"download": True}, "download is an enterprise only feature"),
    ({"sha256": SUM}, NO_COMMAND),
    ({"sha256": SUM, "version": "1", "runtime": "gvisor"}, NO_COMMAND),
    ({"sha256": "nonsense"}, NO_COMMAND),
    (dict(BINARY, command="c -a", args=["b"]), "must not specify args in command and args field"),
    (dict(BINARY, command="c ", args=[""]), "must not specify args in command and args field"),
    *((dict(BINARY, sha256=text), BAD_SUM) for text in ["0", SUM[1:], SUM + "0", SUM[:-1] + "g", " " + SUM[1:], "0x" + SUM[2:], "x" * 64, True]),
    (dict(BINARY, sha256="0" * 4097), "sha256: 4096 bytes at most"),
    *((dict(BINARY, command=text), 'command: ".." is not allowed') for text in ["../c", "a..b", ".."]),
    (dict(BINARY, command="c" * 4097), "command: 4096 bytes at most"),
    (dict(BINARY, oci_image="c" * 4097), "oci_image: 4096 bytes at most"),
    (dict(BINARY, args=["x" * 4097]), "args: 4096 bytes at most, all together"),
    (dict(BINARY, args=["x" * 2048] * 2), "args: 4096 bytes at most, all together"),
    (dict(BINARY, env=["x" * 4097]), "env: 4096 bytes at most, all together"),
    (dict(BINARY, runtime="x" * 256), "runtime: 255 bytes at most"),
    *((dict(BINARY, runtime=name, **more), no_runtime(name)) for name in ["none", "Gvisor", "gvisor ", "../gvisor", "x" * 255, "ü"]
      for more in [{}, {"oci_image": "i"}, {"version": "1"}]),
]

# --- versions: as they are given, and as they are stored

VERSIONS = {"1": "v1.0.0", "v1.2": "v1.2.0", "1.02.3": "v1.2.3", "v1.2.3.4": "v1.2.3.4", "1-rc1": "v1.0.0-rc1",
            "1.2.3-rc.1+ent": "v1.2.3-rc.1+ent", "0.16.0+ent": "v0.16.0+ent", "1.2.3~": None, "V1": None, "1.2.3rc1": None,
            "": None, "1.2.3-": None, "99999999999999999999": None}

# --- names: which there may be

NAMES = ["p", "a/b", "a/b/c", "secret", "auth/secret", "unknown", "A.b-c_d~", "!$&'()*+,;=:@", "%", "?", "#", '"', "\\", "x" * 255]
NO_NAMES = {"a..b": 'name: ".." is not allowed', "x" * 256: "name: 255 bytes of printable ASCII at most, without blanks and without \"..\""}
NO_NAMES |= dict.fromkeys(["a b", " a", "é", "名"], NO_NAMES["x" * 256])

# --- methods and paths: status and, where it is refused, the text

METHODS = ["GET", "LIST", "POST", "PUT", "PATCH", "DELETE"]
NO_OPERATION = (405, "unsupported operation")
NO_SLASH = (400, "cannot write to a path ending in '/'")
PATHS = {
    "": [(200, None), NO_OPERATION, NO_OPERATION, NO_OPERATION, NO_OPERATION, NO_OPERATION],
    "/": [(200, None), NO_OPERATION, NO_SLASH, NO_SLASH, NO_SLASH, NO_OPERATION],
    "/secret": [NO_OPERATION, (404, ""), NO_OPERATION, NO_OPERATION, NO_OPERATION, NO_OPERATION],
    "/secret/": [NO_OPERATION, (404, ""), NO_SLASH, NO_SLASH, NO_SLASH, NO_OPERATION],
    "/auth": [NO_OPERATION, (404, ""), NO_OPERATION, NO_OPERATION, NO_OPERATION, NO_OPERATION],
    "/database": [NO_OPERATION, (404, ""), NO_OPERATION, NO_OPERATION, NO_OPERATION, NO_OPERATION],
    "/secret/none": [(404, ""), NO_OPERATION, (400, NO_SUM), (400, NO_SUM), NO_OPERATION, (204, None)],
    "/secret/none/": [(404, ""), NO_OPERATION, NO_SLASH, NO_SLASH, NO_SLASH, (204, None)],
    "/none": [(200, None), NO_OPERATION, (400, NO_SUM), (400, NO_SUM), NO_OPERATION, (200, None)],
    "/unknown": [(200, None), NO_OPERATION, (400, NO_SUM), (400, NO_SUM), NO_OPERATION, (200, None)],
    "/Secret/none": [(200, None), NO_OPERATION, (400, NO_SUM), (400, NO_SUM), NO_OPERATION, (200, None)],
    "s": [(404, "unsupported path")] * 6,
}
CALLS = [(path, method, *answer) for path, answers in PATHS.items() for method, answer in zip(METHODS, answers)]

# --- who may: capabilities on a path, and what they are good for

ITEM, NAMED = "sys/plugins/catalog/secret/p", "sys/plugins/catalog/secret/"
RIGHTS = [
    ("GET", "/secret/p", ITEM, ["read", "sudo"], True),
    ("GET", "/secret/p", ITEM, ["read"], False),
    ("GET", "/secret/p", ITEM, ["sudo"], False),
    ("POST", "/secret/p", ITEM, ["update", "sudo"], True),
    ("PUT", "/secret/p", ITEM, ["update", "sudo"], True),
    ("POST", "/secret/p", ITEM, ["update"], False),
    ("POST", "/secret/p", ITEM, ["create", "sudo"], False),
    ("DELETE", "/secret/p", ITEM, ["delete", "sudo"], True),
    ("DELETE", "/secret/p", ITEM, ["delete"], False),
    ("DELETE", "/secret/p", ITEM, ["update", "sudo"], False),
    ("GET", "/p", "sys/plugins/catalog/p", ["read", "sudo"], True),
    ("GET", "/p", "sys/plugins/catalog/p", ["read"], False),
    ("LIST", "/secret", NAMED, ["list", "sudo"], True),
    ("LIST", "/secret", NAMED, ["list"], False),
    ("LIST", "/secret", NAMED, ["read", "sudo"], False),
    ("GET", "", "sys/plugins/catalog", ["read"], True), # as in Vault: the protected paths begin behind the slash
    ("GET", "", "sys/plugins/catalog", ["list", "sudo"], False),
    ("GET", "", "sys/plugins/catalog/*", ["read", "sudo"], False),
    ("GET", "/", "sys/plugins/catalog/", ["read"], False),
    ("GET", "/", "sys/plugins/catalog/", ["read", "sudo"], True),
    ("GET", "/none/such/path", "sys/none", ["read", "sudo"], False),
]

# --- warnings

OLD_READ = 'Deprecated API endpoint, cannot read plugin information from catalog for "{}"'
OLD_DELETE = 'Deprecated API endpoint, cannot deregister plugin from catalog for "{}"'
NO_SUM_WARNING = 'command "c -a" is ignored: without sha256 the plugin is an artifact, whose command is known'
IGNORED = "Endpoint ignored these unrecognized parameters: [{}]"
REPLACED = "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{}]"
WARNINGS = [
    ("POST", "/secret/w", {"version": "1"}, None),
    ("POST", "/secret/w", {"version": "1", "note": 1, "type": "auth"}, None), # nothing to say, so nothing to warn of
    ("POST", "/secret/w", {"version": "1", "command": "c -a"}, [NO_SUM_WARNING]),
    ("POST", "/secret/w", {"version": "1", "command": "c -a", "b": 1, "a": 2, "type": "auth", "name": "n"},
     [NO_SUM_WARNING, IGNORED.format("a b"), REPLACED.format("name type")]),
    ("POST", "/w", {"version": "1"}, None),
    ("POST", "/w", {"version": "1", "type": "secret"}, None),
    ("GET", "/secret/w?version=1", None, None),
    ("GET", "/secret/w?version=1&type=auth&x=1", None, [IGNORED.format("x"), REPLACED.format("type")]),
    ("GET", "/w", None, [OLD_READ.format("w")]),
    ("GET", "/w?version=nonsense&x=1", None, [OLD_READ.format("w"), IGNORED.format("x")]),
    ("GET", "/w?type=&version=1", None, [OLD_READ.format("w")]),
    ("GET", "/w?type=unknown&version=1", None, None),
    ("GET", "?type=secret", None, [IGNORED.format("type")]),
    ("DELETE", "/secret/w?version=1&x=1", None, None),
    ("DELETE", "/w?version=1", None, [OLD_DELETE.format("w")]),
    ("DELETE", "/w?type=unknown&version=1", None, None),
]

# --- what is wrong with a read or a delete itself

QUERIES = [
    ("GET", "/secret/p?version=nonsense", no_version("nonsense")),
    ("GET", "/secret/p?version=1&version=2", "version: must be a string"),
    ("DELETE", "/secret/p?version=nonsense", no_version("nonsense")),
    ("DELETE", "/secret/p?version=1%2Bbuiltin", 'version "v1.0.0+builtin" cannot be deleted'),
    ("GET", "/p?type=secrets", '"secrets" is not a supported plugin type'),
    ("GET", "/p?type=Secret", '"Secret" is not a supported plugin type'),
    ("GET", "/p?type=auth&type=secret", "type: must be a string"),
    ("DELETE", "/p?type=container", '"container" is not a supported plugin type'),
    ("GET", "/secret/a..b", 'name: ".." is not allowed'),
    ("DELETE", "/secret/a..b", 'name: ".." is not allowed'),
]
TYPES = {"auth": None, "database": None, "secret": None, "unknown": None, "": None,
         "secrets": '"secrets" is not a supported plugin type', "Auth": '"Auth" is not a supported plugin type',
         "container": '"container" is not a supported plugin type', 1: "type: must be a string"}

# How often a refusal that nobody owns is tried again.
ATTEMPTS = 3

PLAN = (len(TAKEN) + len(REFUSED) + 2 * len(VERSIONS) + 2 * len(NAMES) + len(NO_NAMES) + len(CALLS) + len(RIGHTS)
        + len(WARNINGS) + len(QUERIES) + len(TYPES) + ATTEMPTS + 36)

with stack(plan=PLAN, site="stand-alone") as s:
    connection = s.client.connect()

    def ask(method, path, body=None, **more):
        return s.request(method, PLUGINS + path, body, connection=connection, **more)

    def clear():
        s.cluster.sql("DELETE FROM runtime_catalog.plugin")

    def is_exactly(response, data):
        """To the byte, order of keys included."""
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        for sign in "<>&\u2028\u2029":
            text = text.replace(sign, f"\\u{ord(sign):04x}")
        return (f'"data":{text},"wrap_info":null,"warnings":null,"auth":null,"mount_type":"system"}}\n'.encode()
                in response.body)

    def exact(name, response, data):
        s.tap.ok(response.status == 200 and is_exactly(response, data) and not list(s.faults_of(response, 200)),
                 name, f"wanted: {data}", response)

    def refused(response, text):
        return response.status == 400 and response.json == {"errors": [text]} and not list(s.faults_of(response, 400))

    # Nothing there
    exact("no plugin at all", ask("GET", ""), {})
    for path, method, status, text in CALLS:
        response = ask(method, path, headers=PATCH if method == "PATCH" else (), body={} if method == "PATCH" else None)
        errors = {} if text is None else {"errors": [text] if text else []}
        s.answer(f"{method} {path or '(the list)'}", response, status, **errors)
    s.tap.equal(s.cluster.sql("SELECT count(*) FROM runtime_catalog.plugin"), "0", "none of it registered anything")

    # Fields
    s.register("gvisor")
    other = dict(sorted({**RECORD, **OTHER}.items()))
    for body, changes in TAKEN:
        wrong = []
        for method in ("POST", "PUT"):
            ask("POST", "/secret/p", dict(OTHER, env=["O=1"]))
            response = ask(method, "/secret/p", body)
            wrong += list(s.faults_of(response, 204))
            read = ask("GET", "/secret/p")
            if not is_exactly(read, dict(sorted({**RECORD, **changes}.items()))):
                wrong += [response, read]
        s.tap.ok(not wrong, f"taken: {str(body)[:120]}", *wrong)
    for body, text in REFUSED:
        ask("POST", "/secret/p", dict(OTHER, env=["O=1"]))
        response = ask("POST", "/secret/p", body)
        read = ask("GET", "/secret/p")
        s.tap.ok(refused(response, text) and is_exactly(read, other), f"refused: {str(body)[:120]}", text, response, read)
    s.tap.equal(s.cluster.sql("SELECT type, name, version, env FROM runtime_catalog.plugin"), "secret|p||{O=1}",
                "no refusal left anything, nor took the environment away")
    ask("POST", "/secret/p", dict(BINARY, env=[" A=1", "", "B=b c"]))
    s.tap.equal(s.cluster.sql("SELECT env FROM runtime_catalog.plugin"), '{A=1,"","B=b c"}', "the environment is stored as it is")
    s.tap.ok("A=1" not in ask("GET", "/secret/p").body.decode() + ask("GET", "").body.decode(), "and shown by nothing")
    s.answer("a form is as good", s.request("POST", PLUGINS + "/secret/p", f"sha256={SUM}&command=c",
                                           headers=[("Content-Type", "application/x-www-form-urlencoded")]), 204)
    clear()

    # Versions
    for given, stored in VERSIONS.items():
        response = ask("POST", "/auth/v", {"version": given, "oci_image": "i"})
        read = ask("GET", f"/auth/v?version={urllib.parse.quote(given, safe='')}")
        if stored:
            s.answer(f"version {given}", response, 204)
            exact(f"is {stored}", read, {"args": [], "builtin": False, "command": "", "name": "v", "oci_image": "i", "sha256": "", "version": stored})
        else:
            s.answer(f"version {given}", response, 400, errors=[no_version(given) if given else NO_SUM])
            s.answer("nor is it read", read, 400 if given else 404, errors=[no_version(given)] if given else [])
    s.answer("without a version there is none", ask("GET", "/auth/v"), 404, errors=[])
    s.answer("nor with another", ask("GET", "/auth/v?version=7"), 404, errors=[])
    s.answer("nor of another type", ask("GET", "/secret/v?version=1"), 404, errors=[])
    s.answer("one without a version beside them", ask("POST", "/auth/v", BINARY), 204)
    s.tap.equal(ask("GET", "/auth/v").data, dict(RECORD, name="v"), "is another plugin")
    s.answer("the same version in another spelling", ask("POST", "/auth/v", dict(BINARY, version="v01.0")), 204)
    s.tap.equal(ask("GET", "/auth/v?version=1").data, dict(RECORD, name="v", version="v1.0.0"), "is the same plugin")
    s.answer("DELETE of one version", ask("DELETE", "/auth/v?version=1.0"), 204)
    s.answer("takes that away", ask("GET", "/auth/v?version=1"), 404, errors=[])
    s.answer("and leaves the one without", ask("GET", "/auth/v"), 200)
    s.answer("DELETE without a version", ask("DELETE", "/auth/v"), 204)
    s.answer("takes that one away", ask("GET", "/auth/v"), 404, errors=[])
    s.answer("and leaves those that have one", ask("GET", "/auth/v?version=1.2"), 200)
    s.answer("DELETE of what is not there", ask("DELETE", "/auth/v?version=1"), 204)
    clear()

    # Names, typed and not
    for name in NAMES:
        path = urllib.parse.quote(name)
        response = ask("POST", "/database/" + path, BINARY)
        s.answer(f"name {name}", response, 204)
        exact("reads as it is", ask("GET", "/database/" + path), dict(RECORD, name=name))
    for name, text in NO_NAMES.items():
        s.answer(f"name {name}", ask("POST", "/database/" + urllib.parse.quote(name), BINARY), 400, errors=[text])
    s.answer("the names of a type", ask("LIST", "/database"), 200, data={"keys": sorted(NAMES)})
    clear()

    # Types: in the path, or in the body
    for kind, text in TYPES.items():
        response = ask("POST", "/t", dict(BINARY, type=kind))
        if text:
            s.answer(f"type {kind} in the body", response, 400, errors=[text])
        else:
            read = ask("GET", f"/t?type={kind or 'unknown'}")
            s.tap.ok(response.status == 204 and is_exactly(read, dict(RECORD, name="t")), f"type {kind} in the body", response, read)
    s.tap.equal(s.cluster.sql("SELECT string_agg(type, ' ' ORDER BY type) FROM runtime_catalog.plugin"), "auth database secret unknown",
                "each is a plugin of its own, and no type is unknown")
    s.answer("DELETE without a type", ask("DELETE", "/t"), 200, data=None)
    s.answer("DELETE with the type in the query", ask("DELETE", "/t?type=auth"), 204)
    s.tap.equal(s.cluster.sql("SELECT string_agg(type, ' ' ORDER BY type) FROM runtime_catalog.plugin"), "database secret",
                "each took the one that it named")
    clear()

    # Lists
    order = ["", "v0.9.0", "v1.0.0-2", "v1.0.0-11", "v1.0.0-rc.1", "v1.0.0", "v1.0.0+ent", "v1.2.0", "v1.10.0"]
    for version in reversed(order):
        ask("POST", "/secret/b", {"version": version, "sha256": SUM, "oci_image": "i", "runtime": "gvisor"})
    ask("POST", "/secret/a", BINARY)
    ask("POST", "/z", BINARY)
    ask("POST", "/auth/only-versions", {"version": "1"})
    ask("POST", "/database/B", BINARY)
    ask("POST", "/database/a", BINARY)
    entry = {"builtin": False, "name": "b", "oci_image": "i", "runtime": "gvisor", "sha256": SUM, "type": "secret"}
    plain = {"builtin": False, "name": "a", "sha256": SUM, "type": "secret", "version": ""}
    exact("the list of all types, by type, name, and version as versions go", ask("GET", ""), {
        "database": ["B", "a"],
        "detailed": [{"builtin": False, "name": "only-versions", "type": "auth", "version": "v1.0.0"},
                     dict(plain, name="B", type="database"), dict(plain, type="database"), plain,
                     *(dict(entry, version=version) for version in order), dict(plain, name="z", type="unknown")],
        "secret": ["a", "b"], "unknown": ["z"]})
    exact("with a slash", ask("GET", "/"), ask("GET", "").data)
    exact("a type's names", ask("LIST", "/secret"), {"keys": ["a", "b"]})
    exact("by GET", ask("GET", "/secret?list=true"), {"keys": ["a", "b"]})
    s.answer("a plugin that has but versions is no name", ask("LIST", "/auth"), 404, errors=[])
    clear()

    # Rights
    for method, path, rule, capabilities, allowed in RIGHTS:
        ask("POST", "/secret/p", BINARY)
        token = s.token_with("one", rule, *capabilities)
        response = ask(method, path, BINARY if method in ("POST", "PUT") else None, token=token)
        s.tap.ok(response.status in (200, 204) if allowed else (response.status, response.errors) == (403, [NOT_ALLOWED]),
                 f"{method} {path or '(the list)'} with {' and '.join(capabilities)} on {rule}", response)
    clear()

    # Warnings, and refusals of reads
    for method, path, body, warnings in WARNINGS:
        response = ask(method, path, body)
        s.tap.ok(response.status in (200, 204) and response.key("warnings") == warnings,
                 f"{method} {path} {body or ''}", f"wanted: {warnings}", response)
    for method, path, text in QUERIES:
        s.answer(f"{method} {path}", ask(method, path), 400, errors=[text])
    clear()

    # A plugin holds its runtime
    def delete_runtime(name):
        return s.request("DELETE", CONTAINER + name, connection=connection)

    def in_use(plugins):
        return [f'unable to delete "gvisor" runtime. Registered plugins=[{plugins}] are referencing it. The runtime is still in use.']

    for path, body in [("/secret/p2", {}), ("/secret/p2", {"version": "2"}), ("/auth/p3", {"oci_image": "i"}), ("/p1", {})]:
        ask("POST", path, dict(BINARY, runtime="gvisor", **body))
    s.answer("what plugins of any type name, with an image and without", delete_runtime("gvisor"), 400, errors=in_use("p3 p2 p2 p1"))
    ask("DELETE", "/secret/p2")
    ask("DELETE", "/auth/p3")
    s.answer("stays until the last of them is gone", delete_runtime("gvisor"), 400, errors=in_use("p2 p1"))
    ask("DELETE", "/p1?type=unknown")
    s.answer("or names another", ask("POST", "/secret/p2", dict(BINARY, version="2")), 204)
    s.answer("then it goes", delete_runtime("gvisor"), 204)
    s.answer("and a plugin that names it is refused", ask("POST", "/secret/p2", dict(BINARY, runtime="gvisor")), 400, errors=[no_runtime("gvisor")])

    # A refusal whose plugins went before they could be named: tried again, but not for ever.
    s.cluster.sql("""
        CREATE SEQUENCE attempts;
        CREATE TABLE refusals (many integer);
        GRANT USAGE ON SEQUENCE attempts TO PUBLIC; GRANT SELECT ON refusals TO PUBLIC;
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_catalog AS $$
        BEGIN
            IF nextval('attempts') <= (SELECT many FROM refusals) THEN
                RAISE foreign_key_violation USING CONSTRAINT = 'plugin_runtime_fkey';
            END IF;
            RETURN OLD;
        END $$;
        CREATE TRIGGER refuses BEFORE DELETE ON runtime_catalog.runtime FOR EACH ROW EXECUTE FUNCTION refuse();
        ALTER TABLE runtime_catalog.runtime ENABLE ALWAYS TRIGGER refuses""") # or the worker finds fault with the schema
    for many in range(1, ATTEMPTS + 1):
        s.register("gvisor")
        s.cluster.sql(f"TRUNCATE refusals; INSERT INTO refusals VALUES ({many}); ALTER SEQUENCE attempts RESTART")
        response = delete_runtime("gvisor")
        tried = int(s.cluster.sql("SELECT last_value FROM attempts"))
        expected = (204, b"", many + 1) if many < ATTEMPTS else (400, None, ATTEMPTS)
        s.tap.ok((response.status, tried) == (expected[0], expected[2]) and (many < ATTEMPTS or response.errors == in_use("")),
                 f"refused {many} times, with no plugin to name: {expected[0]} after {expected[2]} attempts", tried, response)
    s.cluster.sql("DROP TRIGGER refuses ON runtime_catalog.runtime")
    s.answer("the list of runtimes is none the wiser", s.request("LIST", CATALOG), 200)
    connection.close()
