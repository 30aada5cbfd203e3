#!/usr/bin/python3
"""Every method on every kind of path, by every kind of caller, against an oracle that is Vault's
order of checks, written down once more."""
import concurrent.futures
import re
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import BAD_TOKEN, CATALOG, NO_TOKEN, NOT_ALLOWED, stack  # noqa: E402

PATCH = [("Content-Type", "application/merge-patch+json")]
SNAPSHOT = [("X-Vault-Recover-Snapshot-Id", "2403d301")]

# What is sent: a method, headers, a body, a query.
REQUESTS = [
    ("GET", [], None, ""),
    ("LIST", [], None, ""),
    ("POST", [], "{}", ""),
    ("PUT", [], "{}", ""),
    ("DELETE", [], None, ""),
    ("HEAD", [], None, ""),
    ("OPTIONS", [], None, ""),
    ("HELP", [], None, ""),
    ("RECOVER", [], "{}", ""),
    ("RECOVER", SNAPSHOT, "{}", ""),
    ("PATCH", [], "{}", ""),
    ("PATCH", PATCH, "{}", ""),
    ("PATCH", [("Content-Type", "Application/Merge-Patch+JSON; charset=utf-8")], "{}", ""),
    ("PATCH", [("Content-Type", "application/scim+json")], "{}", ""),
    ("PATCH", [("Content-Type", "application/json")], "{}", ""),
    ("PATCH", [("Content-Type", "a b")], "{}", ""),
    ("FROBNICATE", [], None, ""),
    ("PROPFIND", [], None, ""),
    ("M-SEARCH", [], None, ""),
    ("A" * 300, [], None, ""),
    ("TRACE", [], None, ""),
    ("CONNECT", [], None, ""),
    ("get", [], None, ""),
    ("Get", [], None, ""),
    ("list", [], None, ""),
    ("GET1", [], None, ""),
    # Faults of the request itself, which are told before anybody asks who sends it.
    ("GET", [], None, "?list=true"),
    ("GET", [], None, "?list=perhaps"),
    ("FROBNICATE", [], None, "?list=perhaps"),
    ("GET", [], None, "?a=%zz"),
    ("POST", [], "{", ""),
    ("PATCH", PATCH, "{", ""),
    ("GET", [("X-Vault-Wrap-TTL", "soon")], None, ""),
    ("POST", [("X-Vault-Wrap-TTL", "soon")], "{", ""),
    ("FROBNICATE", [("X-Vault-Wrap-TTL", "soon")], None, ""),
    ("POST", [("X-Vault-Policy-Override", "perhaps")], "{}", ""),
    # Help, whatever the method.
    ("GET", [], None, "?help=1"),
    ("LIST", [], None, "?help=1"),
    ("POST", [("X-Vault-Wrap-TTL", "soon")], "{}", "?help=0"),
    ("DELETE", [], None, "?help=true"),
    ("FROBNICATE", [], None, "?help=1"),
    ("PATCH", [], None, "?help=1"),
    ("GET", [], None, "?help="),
    ("GET", [], None, "?help=1&list=perhaps"),
]

BELOW = CATALOG + "/"
ELSEWHERE = "/v1/elsewhere/" # handed to the worker, unlike any other path
KINDS = { # {existing}, {absent}: names that no other request uses
    "the collection": CATALOG,
    "the collection/": CATALOG + "/",
    "the filtered collection": CATALOG + "?type=container",
    "the collection, filtered as Terraform does": CATALOG + "%3Ftype=container",
    "an item": BELOW + "container/{existing}",
    "an item that is absent": BELOW + "container/{absent}",
    "an item/": BELOW + "container/{existing}/",
    "an absent item/": BELOW + "container/{absent}/",
    "a type": BELOW + "container",
    "a type/": BELOW + "container/",
    "an item of a bad type": BELOW + "docker/{absent}",
    "an item of a bad type/": BELOW + "docker/{absent}/",
    "a bad name": BELOW + "container/-{absent}",
    "a deeper path": BELOW + "container/{existing}/x",
    "a path with //": BELOW + "/container/{existing}",
    "a path with a control byte": BELOW + "container/{existing}%07",
    "another mount": ELSEWHERE + "x",
    "another mount that nginx keeps": "/v1/secret/x",
}

OPERATIONS = {"GET": "read", "LIST": "list", "POST": "update", "PUT": "update", "PATCH": "patch",
              "DELETE": "delete", "RECOVER": "recover", "HELP": "help", "HEAD": None, "OPTIONS": None}
WRITES = ("update", "patch")
CAPABILITIES = ["create", "read", "update", "patch", "delete", "list", "recover"]
CALLERS = ["root", "all but sudo", "only the right capability, and sudo", "all but the right capability, and sudo",
           "an unknown token", "no token", "a token that is too long"]


class Case:
    """One request, and what Vault makes of it. Each check returns the answer, if it has one."""

    def __init__(self, number, request, kind, caller):
        self.method, self.headers, self.body, query = request
        self.caller = caller
        self.names = {"existing": f"e{number}", "absent": f"a{number}"}
        self.path = KINDS[kind].format(**self.names)
        self.target = self.path + (query.replace("?", "&") if "?" in self.path else query)
        self.query = self.target.partition("?")[2]
        self.routed = self.path[len("/v1/"):].partition("?")[0].replace("%3Ftype=container", "").replace("%07", "\7")
        self.operation = OPERATIONS.get(self.method)

    def answer(self):
        """Status, and the errors: exact, or a pattern, or None for an answer without."""
        for check in (self.nginx, self.control_bytes, self.size_of_token, self.canonical, self.query_parameters,
                      self.help, self.known_method, self.patch_type, self.body_faults, self.snapshot, self.wrapping,
                      self.override, self.slash, self.token, self.policies, self.routing, self.run):
            if found := check():
                return found
        raise AssertionError("nothing answers")

    def nginx(self):
        if not re.fullmatch("[A-Z_-]+", self.method):
            return 400, "could not read"
        if self.method in ("TRACE", "CONNECT"):
            return 405, []
        if not self.path.startswith((CATALOG, ELSEWHERE)):
            return 404, ["no handler for this path"]

    def control_bytes(self):
        if "\7" in self.routed:
            return 400, "^path: control characters"

    def size_of_token(self):
        if self.caller == "a token that is too long":
            return 431, ["authentication token exceeds maximum allowed header size of 8192 bytes"]

    def canonical(self):
        if "//" in self.routed:
            return 400, "^path: must be canonical"

    def query_parameters(self):
        if "%zz" in self.query:
            return 400, "^query: "
        if self.method == "GET" and "list=perhaps" in self.query:
            return 400, "^query parameter list: "

    def help(self):
        """Asking for it is an operation of its own, and skips what concerns data."""
        if self.operation == "help" or re.search("help=.", self.query):
            self.operation = "help"
            return self.token() or self.policies() or self.routing() or (200, None)

    def known_method(self):
        if self.method not in OPERATIONS:
            return 405, []

    def patch_type(self):
        kind = dict(self.headers).get("Content-Type")
        if self.operation != "patch":
            return None
        if not kind:
            return 400, ["mime: no media type"]
        if " " in kind.partition(";")[0]:
            return 400, "^mime: "
        if kind.lower().partition(";")[0] not in ("application/merge-patch+json", "application/scim+json"):
            return 415, [f"PATCH requires Content-Type of application/merge-patch+json, provided {kind}"]

    def body_faults(self):
        if self.body == "{":
            return 400, "^failed to parse JSON: line 1"

    def snapshot(self):
        if self.operation == "recover" and not self.headers:
            return 400, ["missing required snapshot ID"]

    def wrapping(self):
        if "X-Vault-Wrap-TTL" in dict(self.headers):
            return 400, "^error parsing X-Vault-Wrap-TTL header: "

    def override(self):
        if "X-Vault-Policy-Override" in dict(self.headers):
            return 400, "^failed to parse X-Vault-Policy-Override header: "

    def slash(self):
        if "list=true" in self.query and self.operation == "read":
            self.operation = "list"
        if self.operation in WRITES and self.routed.endswith("/"):
            return 400, ["cannot write to a path ending in '/'"]
        if self.operation == "list" and not self.routed.endswith("/"):
            self.routed += "/"

    def token(self):
        if self.caller == "no token":
            return 403, [NO_TOKEN]
        if self.caller == "an unknown token":
            return 403, [BAD_TOKEN]

    def policies(self):
        """Help needs no capability; HEAD and OPTIONS are none that a policy could grant."""
        in_catalog = (self.routed + "/").startswith(CATALOG[len("/v1/"):] + "/")
        granted = self.operation == "help" or (self.operation is not None and self.caller != CALLERS[3])
        if self.caller != "root" and not granted:
            return 403, [NOT_ALLOWED]
        if self.caller == "all but sudo" and in_catalog and self.operation != "help":
            return 403, [NOT_ALLOWED]

    def routing(self):
        if not self.routed.startswith("sys/"):
            return 404, [f'no handler for route "{self.routed}". route entry not found.']
        rest = self.routed[len(CATALOG) - len("/v1"):].removeprefix("/")
        if rest and not re.fullmatch(r"container/\w(([\w.-]+)?\w)?", rest, re.ASCII):
            known = not rest or rest.startswith("container")
            return 404, ["unsupported path" + ("" if known else ': the plugin runtime type must be "container"')]
        self.is_item = bool(rest)
        if self.operation not in ("help", "read", *(("update", "delete") if rest else ("list",))):
            return 405, ["unsupported operation"]

    def run(self):
        exists = self.names["existing"] in self.routed
        if self.operation == "update":
            return 204, None
        if self.operation == "delete":
            return (204, None) if exists else (404, f'"{self.names["absent"]}" does not exist')
        return (404, []) if self.is_item and not exists else (200, None)


def faults(s, case, response):
    """What is wrong with an answer."""
    status, errors = case.answer()
    wrong = list(s.faults_of(response, status))
    if case.method == "HEAD":
        wrong = [fault for fault in wrong if "one line of JSON" not in fault]
        return wrong + ([f"a body: {response.body}"] if response.body else [])
    if errors is None:
        helps = status == 200 and case.operation == "help"
        keys = ["help", "openapi", "see_also"] if helps else None
        if helps and list(response.json) != keys or not helps and status == 200 and not response.data:
            wrong.append("not what a success holds")
    elif isinstance(errors, list) and response.json != {"errors": errors}:
        wrong.append(f"the body is not {{'errors': {errors!r}}}")
    elif isinstance(errors, str) and not (response.errors and re.search(errors, response.errors[0])):
        wrong.append(f"no error text like {errors!r}")
    return wrong


def send(s, cases, tokens, connection):
    """Those that are answered wrongly, with what is wrong. A caller's token may depend on the operation."""
    for case in cases:
        token = tokens[case.caller]
        if isinstance(token, dict):
            listing = "list=true" in case.query and case.method == "GET"
            token = token["list" if listing else OPERATIONS.get(case.method) or "read"]
        response = s.request(case.method, case.target, case.body, token=token, headers=case.headers,
                             connection=connection)
        if wrong := faults(s, case, response):
            yield "\n".join([f"{case.method[:20]} {case.target} by {case.caller}:", *wrong, str(response)])


def hand_over(text, _):
    """The site hands one more mount to the worker."""
    worker = "include snippets/runtime-catalog/worker.conf;"
    return text.replace("\n    location / {", f"\n    location ^~ {ELSEWHERE} {{ {worker} }}\n    location / {{")


with stack(plan=len(REQUESTS) * len(KINDS) + 3, edit_site=hand_over) as s:
    s.expect("nginx", "client sent")
    capabilities = {name: [name] for name in CAPABILITIES} | {"help": CAPABILITIES}
    tokens = {
        "root": s.root_token,
        CALLERS[1]: s.token_with("no-sudo", "*", *CAPABILITIES),
        CALLERS[2]: {name: s.token_with(f"only-{name}", "*", *held, "sudo") for name, held in capabilities.items()},
        CALLERS[3]: {name: s.token_with(f"not-{name}", "*", "sudo", *set(CAPABILITIES).difference(held))
                     for name, held in capabilities.items()},
        "an unknown token": "hvs." + "0" * 24,
        "no token": None,
        "a token that is too long": "x" * 8193,
    }
    lines = [(request, kind) for request in REQUESTS for kind in KINDS]
    cases = [[Case(len(CALLERS) * line + number, request, kind, caller) for number, caller in enumerate(CALLERS)]
             for line, (request, kind) in enumerate(lines)]
    count = len(lines) * len(CALLERS)
    s.cluster.sql("INSERT INTO runtime_catalog.runtime (namespace_id, type, name)"
                  " SELECT id, 'container', 'e' || number FROM runtime_catalog.namespace,"
                  f" generate_series(0, {count - 1}) AS number WHERE path = ''")

    def run(share):
        connection = s.client.connect()
        results = [list(send(s, group, tokens, connection)) for group in share]
        connection.close()
        return results

    WORKERS = 4
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        shares = list(pool.map(run, [cases[first::WORKERS] for first in range(WORKERS)]))
    for number, ((method, headers, body, query), kind) in enumerate(lines):
        wrong = shares[number % WORKERS][number // WORKERS]
        sent = " ".join([method[:20] + query, *(f"{name}: {value}" for name, value in headers), body or ""])
        s.tap.ok(not wrong, f"{sent.strip()}, {kind}", *wrong)
    print(f"# {count} requests")

    expected = {f"e{number}" for number in range(count)}
    for case in (case for group in cases for case in group):
        if case.answer()[0] == 204:
            (expected.discard if case.operation == "delete" else expected.add)(case.path.rpartition("/")[2])
    stored = set(s.cluster.sql("SELECT name FROM runtime_catalog.runtime").split("\n"))
    s.tap.equal(stored ^ expected, set(), "what was answered with 204 was done, and nothing else")

    for kind, fields in (("an item", ["type", "name", "oci_runtime", "cgroup_parent", "cpu_nanos", "memory_bytes",
                                      "rootless"]), ("the collection", ["type"])):
        path = KINDS[kind].format(existing="e0")
        answer = s.request("GET", path + "?help=1", token=tokens["all but sudo"]).json
        named = re.findall(r"^    (\w+) \(\w+\)$", answer.pop("help"), re.M)
        s.tap.equal((named, answer), (fields, {"openapi": None, "see_also": None}),
                    f"help for {kind} names its parameters")
