#!/usr/bin/python3
"""A token that is refused says nothing of itself: whether it is unknown, malformed, of another tenant,
expired by itself or with its parent, revoked or used up, the answer is the same to the byte, the
database does the same work, and it takes as long.

In the long form 100,000 refusals of each kind are timed, in random order on the worker's socket, and
no mean may differ from that of unknown tokens by what would show (Welch's t, as dudect has it). In
the short one a few are, to see that none leaves early: a busy machine makes anything late."""
import collections
import concurrent.futures
import math
import multiprocessing
import os
import random
import re
import socket
import sys
import time

sys.path.append(sys.path[0] + "/../lib")
from cluster import LOG_STATEMENTS, lines_of  # noqa: E402
from fastcgi import answer, exchange, received, request  # noqa: E402
from harness import BAD_TOKEN, CATALOG, CONTAINER, stack  # noqa: E402

SOAK = "RUNTIME_CATALOG_SOAK_SECONDS" in os.environ
SAMPLES = 100_000 if SOAK else 200 # of each kind
PROCESSES = 8 if SOAK else 2
STEP = 2e-3 # the worker's REFUSAL_MS
T_MAX = 4.5
SEED = 20260115
SITE = "team-a/"
UNTIDY = {"storage": 'tidy_interval = "10m"'} # who has ended stays
OF_ITS_OWN = {"schema_check", "token_tidy"} # what the worker asks now and then, whoever comes
CHILD = "expired with its parent"

# What is asked for: reads, writes, paths that are open to any token, and one that does not exist.
REQUESTS = [
    ("GET", CATALOG, b""), ("LIST", CATALOG, b""), ("GET", CONTAINER + "example", b""), ("PUT", CONTAINER + "example", b"{}"),
    ("DELETE", CONTAINER + "example", b""), ("GET", "/v1/no/such/path", b""), ("GET", "/v1/auth/token/lookup-self", b""),
    ("POST", "/v1/auth/token/create", b'{"policies":["root"]}'), ("POST", "/v1/auth/token/revoke-self", b""),
    ("GET", "/v1/sys/policies/acl/root", b""), ("GET", "/v1/sys/plugins/catalog", b""), ("LIST", "/v1/sys/namespaces", b""),
    ("POST", "/v1/sys/capabilities-self", b'{"paths":["sys/health"]}'), ("GET", CATALOG + "?help=1", b""),
]


def make_tokens(s):
    """A token of each kind, all of one length."""
    def issue(**flags):
        return s.token("root", **flags)

    def through_site(token, method, path, body=None):
        return s.request(method, path, body, token=token, headers=[("X-Vault-Namespace", SITE)])

    for name in ("team-a", "team-b"):
        s.tool("namespace", "create", name)
    site = {"namespace": SITE}
    tokens = {"unknown": "hvs." + "0" * 24, "malformed": "no token' OR true --;".ljust(28, "x"),
              "another tenant's": issue(namespace="team-b"), "of the tenant above": s.root_token,
              "expired": issue(ttl="1h", **site), "revoked": issue(**site), "used up": issue(**{"use-limit": 1}, **site)}
    parent = issue(ttl="1h", **site)
    tokens[CHILD] = through_site(parent, "POST", "/v1/auth/token/create", {"ttl": "1h"}).json["auth"]["client_token"]
    s.secrets.append(tokens[CHILD])
    s.tool("token", "revoke", tokens["revoked"])
    through_site(tokens["used up"], "GET", CATALOG)
    for token in (tokens["expired"], parent):
        accessor = s.tool("token", "lookup", "-field=accessor", token).stdout.strip()
        s.cluster.sql(f"UPDATE runtime_catalog.token SET expires_at = now() - interval '1s' WHERE accessor = '{accessor}'")
    return {kind: token for kind, token in tokens.items() if len(token) == 28 or sys.exit(f"{kind}: {token}")}


def connect(path):
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(40)
    peer.connect(path)
    return peer


def time_refusals(arguments):
    """In a process of its own: count, sum and sum of squares of each kind, the shortest, and how many
    answers were another than the first."""
    path, tokens, count, seed = arguments
    dice = random.Random(seed)
    asked = {kind: request("GET", CATALOG, token, keep=1, RUNTIME_CATALOG_NAMESPACE=SITE) for kind, token in tokens.items()}
    sums = {kind: [0, 0.0, 0.0] for kind in tokens}
    first, strange, shortest = None, 0, math.inf
    peer = connect(path)
    for _ in range(count):
        for kind in dice.sample(list(asked), len(asked)):
            started = time.perf_counter()
            reply = exchange(peer, asked[kind])
            took = time.perf_counter() - started
            first = first or reply
            strange += reply != first
            shortest = min(shortest, took)
            sums[kind] = [sums[kind][0] + 1, sums[kind][1] + took, sums[kind][2] + took * took]
    peer.close()
    return sums, shortest, strange


def statistics(parts, kind):
    """Count, mean and variance of a kind in all processes."""
    count, total, squares = (sum(part[kind][i] for part in parts) for i in range(3))
    return count, total / count, (squares - total * total / count) / (count - 1)


def welch(one, other):
    return (one[1] - other[1]) / math.sqrt(one[2] / one[0] + other[2] / other[0])


with stack(plan=2 * len(REQUESTS) + 4 + SOAK, site="stand-alone", worker={"cache": 'max_staleness = "0s"', **UNTIDY}) as s:
    path = str(s.folder / "worker.sock")
    tokens = make_tokens(s)
    for setting in LOG_STATEMENTS:
        s.cluster.sql(f"ALTER SYSTEM SET {setting}")
    s.cluster.sql("SELECT pg_reload_conf()")

    def refusal(kind, method, target, body):
        """The bytes of the answer, and the statements that PostgreSQL ran for it."""
        before = len(lines_of(s.cluster.log))
        with connect(path) as peer:
            peer.sendall(request(method, target, tokens[kind], body, RUNTIME_CATALOG_NAMESPACE=SITE))
            reply = answer(received(peer))
        said = "\n".join(lines_of(s.cluster.log)[before:])
        names = re.findall(r"runtime_catalog_worker LOG:  execute (\w+):", said)
        return reply, tuple(name for name in names if name not in OF_ITS_OWN)

    for method, target, body in REQUESTS:
        refusal("unknown", method, target, body) # prepares what is not yet
        seen = collections.defaultdict(list)
        for kind in tokens:
            seen[refusal(kind, method, target, body)].append(kind)
        reply, statements = next(iter(seen))
        s.tap.ok(len(seen) == 1 and reply.startswith(b"Status: 403 Forbidden\r\n") and len(statements) == 1,
                 f"{method} {target}: one answer, and one statement {statements}, for all", *seen.items())
        through = {kind: s.request(method, target, body or None, token=token, headers=[("X-Vault-Namespace", "team-a")])
                   for kind, token in tokens.items() if kind != "of the tenant above"} # it reaches down
        s.tap.equal({(one.status, one.body, tuple(pair for pair in one.headers if pair[0] != "Date")) for one in through.values()},
                    {(403, next(iter(through.values())).body, tuple(pair for pair in through["unknown"].headers if pair[0] != "Date"))},
                    f"{method} {target}: and through nginx, but for the date")
    s.answer("which is Vault's", s.request("GET", CATALOG, token=tokens["expired"]), 403, errors=[BAD_TOKEN])

    # With memory, as it is by default.
    s.cluster.sql("ALTER SYSTEM RESET ALL")
    s.cluster.sql("SELECT pg_reload_conf()")
    s.stop_worker()
    s.configure_worker(**UNTIDY)
    s.start_worker()
    with concurrent.futures.ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("fork")) as pool:
        parts = list(pool.map(time_refusals, [(path, tokens, SAMPLES // PROCESSES, SEED + number) for number in range(PROCESSES)]))
    figures = {kind: statistics([part for part, _, _ in parts], kind) for kind in tokens}
    print(f"# {SAMPLES} of each kind, seed {SEED}")
    values = {}
    for kind, (count, mean, variance) in figures.items():
        values[kind] = welch(figures[kind], figures["unknown"])
        print(f"# {kind:24} {count} times, {mean * 1e6:8.2f} us, deviation {math.sqrt(variance) * 1e6:8.2f} us, t = {values[kind]:6.2f}")
    s.tap.equal(sum(strange for _, _, strange in parts), 0, "every timed answer is the same")
    s.tap.ok(min(shortest for _, shortest, _ in parts) >= STEP, "none leaves before the others could", [part[1:] for part in parts])
    s.tap.equal({count for count, _, _ in figures.values()}, {SAMPLES}, "all were timed")
    if SOAK:
        s.tap.ok(max(map(abs, values.values())) < T_MAX, f"|t| < {T_MAX}: no kind can be told from an unknown token", values)
