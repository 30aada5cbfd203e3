#!/usr/bin/python3
"""End to end: root makes a policy and a child token with it, over the API, and that token does what
the policy says, no more and no less: every set of capabilities × every form of rule × every
catalog path × every method, none of it sampled. What is expected comes from rules written down
here, after Vault's documentation of policies, and from nothing else.
"""
import concurrent.futures
import itertools
import json
import re
import socket
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, NOT_ALLOWED, stack  # noqa: E402

CAPABILITIES = ("read", "list", "update", "create", "delete", "patch", "sudo")
WITHOUT_DENY = [frozenset(chosen) for size in range(len(CAPABILITIES) + 1)
                for chosen in itertools.combinations(CAPABILITIES, size)]
# deny is the same beside anything: alone, with each of them, with each of them and sudo, with all.
SETS = WITHOUT_DENY + [chosen | {"deny"} for chosen in WITHOUT_DENY
                       if len(chosen - {"sudo"}) <= 1 or len(chosen) == len(CAPABILITIES)]
METHODS = {"GET": "read", "LIST": "list", "POST": "update", "PUT": "update", "DELETE": "delete", "PATCH": "patch"}
ORDER = ("GET", "DELETE", "LIST", "PUT", "PATCH", "POST") # a DELETE, if it may, has something to delete, then a PUT makes it
LIST = CATALOG.removeprefix("/v1/")
ITEM, OTHER = LIST + "/container/item{number}", LIST + "/container/other{number}"
DENY = frozenset({"deny"})

# The kinds of path. Each token has items of its own, so that what one deletes no other misses.
KINDS = {"the collection": LIST, "the collection/": LIST + "/", "the item": ITEM, "another item": OTHER,
         "the item/": ITEM + "/", "below the item": ITEM + "/below"}

# The forms of a rule: patterns, and what each has; None stands for the set that is tried.
FORMS = {
    "exact": {LIST: None, LIST + "/": None, ITEM: None},
    "exact, of the list without its slash": {LIST: None},
    "prefix": {LIST + "*": None},
    "prefix of items": {LIST + "/container/item*": None},
    "segment": {"sys/+/runtimes/catalog": None, LIST + "/+/item{number}": None, "sys/plugins/runtimes/+/": None},
    "prefix, with a more specific deny": {LIST + "*": None, LIST: DENY, ITEM: DENY},
    "exact, below a broader deny": {LIST + "*": DENY, LIST: None, LIST + "/": None, ITEM: None},
    "segment, beside a less specific deny": {LIST + "/+/item{number}": None, LIST + "/+/*": DENY},
}

# --- what Vault's documentation says of policies


def first_wildcard(pattern):
    """Where the pattern stops being literal."""
    place = re.search(r"(^|/)\+(/|$)|\*$", pattern)
    return len(pattern) if not place else place.start() + (pattern[place.start()] == "/")


def priority(pattern):
    """Of several patterns that match, the one with the highest applies."""
    return (first_wildcard(pattern), not pattern.endswith("*"), -pattern.split("/").count("+"), len(pattern), pattern)


def matches(pattern, path):
    """`+` stands for one segment, `*` at the end for any text."""
    words = "/".join("[^/]+" if word == "+" else re.escape(word) for word in pattern.removesuffix("*").split("/"))
    return re.fullmatch(words + (".*" if pattern.endswith("*") else ""), path) is not None


def granted(rules, operation, path):
    """The capabilities of the one rule that counts for an operation on a path."""
    if path in rules:
        return rules[path]
    listed = path.removesuffix("/")
    if operation == "list" and listed in rules:
        return rules[listed]
    paths = [path, listed] if operation == "list" else [path]
    fitting = sorted({pattern for pattern in rules if any(matches(pattern, one) for one in paths)}, key=priority, reverse=True)
    if operation == "list": # the best that allows it, unless a better one denies
        fitting = [pattern for pattern in fitting if rules[pattern] & {"list", "deny"}] or fitting
    return rules[fitting[0]] if fitting else frozenset()


def may(rules, operation, path):
    """sudo besides the operation's capability on every path of the catalog; deny takes all."""
    has = granted(rules, operation, path)
    return "deny" not in has and {operation, "sudo"} <= has


# --- what the catalog answers to who may

UNSUPPORTED_PATH, UNSUPPORTED = (404, "unsupported path"), (405, "unsupported operation")
TRAILING = (400, "cannot write to a path ending in '/'")


def outcome(method, kind, runtimes):
    """Status and error text; runtimes, those of the token's that exist, changes with it."""
    if kind.startswith("the collection"):
        return (200, None) if method in ("GET", "LIST") else UNSUPPORTED
    if kind not in ("the item", "another item") or method == "LIST":
        return UNSUPPORTED_PATH
    if method == "PATCH":
        return UNSUPPORTED
    if method in ("PUT", "POST"):
        runtimes.add(kind)
        return 204, None
    if kind not in runtimes:
        return 404, "" if method == "GET" else "the runtime is missing"
    if method == "DELETE":
        runtimes.remove(kind)
    return (200, None) if method == "GET" else (204, None)


def expected(rules, method, kind, path, runtimes):
    if path.endswith("/") and METHODS[method] in ("update", "patch"):
        return TRAILING # before anybody looks at the token
    operation = METHODS[method]
    if not may(rules, operation, path + "/" * (operation == "list" and not path.endswith("/"))):
        return 403, NOT_ALLOWED
    return outcome(method, kind, runtimes)


# --- many requests on one connection


def encode(method, path, token, body=b""):
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    return (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: {token}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


class Pipe:
    """A connection on which requests are sent before their predecessors are answered."""

    def __init__(self, client):
        self.plain = socket.create_connection(("127.0.0.1", client.port), timeout=40)
        self.connection = client.context.wrap_socket(self.plain, server_hostname="localhost")
        self.file = self.connection.makefile("rb")

    def ask(self, requests):
        """Their answers, in order: status and body."""
        self.connection.sendall(b"".join(requests))
        return [self.answer() for _ in requests]

    def answer(self):
        status, length = int(self.file.readline().split()[1]), 0
        while (line := self.file.readline().strip().lower()):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return status, json.loads(self.file.read(length) or "{}")

    def close(self):
        self.file.close()
        self.connection.close()


class Cell:
    """One policy, one token."""

    def __init__(self, number, form, capabilities):
        self.number, self.form, self.capabilities = number, form, capabilities
        self.rules = {pattern.format(number=number): capabilities if has is None else has for pattern, has in FORMS[form].items()}
        self.token = None

    def text(self):
        return "\n".join(f'path "{pattern}" {{ capabilities = {json.dumps(sorted(has))} }}' for pattern, has in self.rules.items())

    def made_with(self, root):
        name = f"matrix-{self.number}"
        return [encode("PUT", f"/v1/sys/policies/acl/{name}", root, json.dumps({"policy": self.text()}).encode()),
                encode("POST", "/v1/auth/token/create", root, json.dumps({"policies": [name], "no_default_policy": True}).encode())]

    def requests(self):
        """(method, kind, path), in the order in which they are sent."""
        return [(method, kind, path.format(number=self.number)) for kind, path in KINDS.items() for method in ORDER]

    def faults(self, answers):
        runtimes = {"the item", "another item"}
        for (method, kind, path), (status, body) in zip(self.requests(), answers):
            wanted, text = expected(self.rules, method, kind, path, runtimes)
            errors = body.get("errors")
            good = errors is None if text is None else errors == ([text] if text else [])
            if text == "the runtime is missing":
                good = len(errors or []) == 1 and path.rpartition("/")[2] in errors[0]
            if status != wanted or not good:
                yield f"{method} {path}: {status} {errors}, not {wanted} {text!r}\n{self.text()}"


def run(client, root, cells):
    """The cells on one connection, which nginx ends after a thousand requests."""
    pipe, found = Pipe(client), []
    for cell in cells:
        made = pipe.ask(cell.made_with(root))
        cell.token = (made[1][1].get("auth") or {}).get("client_token", "")
        # A filter that nothing passes: the lists are long, and others change them.
        answers = pipe.ask([encode(method, "/v1/" + path + "?type=unsupported" * kind.startswith("the collection"), cell.token,
                                   b"{}" if method == "PATCH" else b"") for method, kind, path in cell.requests()])
        found.append((answers, [status for status, _ in made] == [204, 200]))
    pipe.close()
    return found


CELLS = [Cell(number, form, capabilities) for number, (form, capabilities) in enumerate(itertools.product(FORMS, SETS))]
PER_CONNECTION = 16
with stack(plan=len(FORMS) + 3, site="stand-alone") as s:
    s.cluster.sql("INSERT INTO runtime_catalog.runtime (namespace_id, type, name)"
                  f" SELECT id, 'container', word || number FROM runtime_catalog.namespace, generate_series(0, {len(CELLS)}) AS number,"
                  " unnest(array['item', 'other']) AS word WHERE path = ''")
    parts = [CELLS[start:start + PER_CONNECTION] for start in range(0, len(CELLS), PER_CONNECTION)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        results = list(itertools.chain.from_iterable(pool.map(lambda part: run(s.client, s.root_token, part), parts)))
    s.secrets += [cell.token for cell in CELLS[::200]]

    s.tap.ok(all(made for _, made in results), f"root made {len(CELLS)} policies and a token with each")
    seen = {}
    for form in FORMS:
        faults, allowed, count = [], 0, 0
        for cell, (answers, _) in zip(CELLS, results):
            if cell.form == form:
                faults += cell.faults(answers)
                count += len(answers)
                for (method, kind, _), (status, _) in zip(cell.requests(), answers):
                    allowed += status not in (403, 400)
                    seen.setdefault((method, kind), set()).add(status == 403)
        s.tap.ok(not faults, f"{form}: {count} requests, {allowed} of them allowed, as the policies say", len(faults), *faults[:5])
    total = sum(len(answers) for answers, _ in results)
    s.tap.ok(total == len(SETS) * len(FORMS) * len(KINDS) * len(METHODS),
             f"{total} requests: {len(SETS)} sets of capabilities, {len(FORMS)} forms of rules, {len(KINDS)} paths, {len(METHODS)} methods")
    never = [cell for cell, outcomes in seen.items() if len(outcomes) < 2
             and not (cell[1].endswith("/") and METHODS[cell[0]] in ("update", "patch"))]
    s.tap.equal(never, [], "each method on each path was allowed to some and refused to others")
