#!/usr/bin/python3
"""What is read from memory: no query, nothing older than a write of the same worker, nothing anywhere
older than max_staleness; and what never is: absence, refusals, tokens whose uses are counted.

Two workers of one database, asked directly, so that it is known which one answers; and a third that
trusts its memory for long, to see what drops it."""
import pathlib
import sys
import time

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from harness import BAD_TOKEN, CATALOG, CONTAINER, NOT_ALLOWED, stack  # noqa: E402
from processes import wait_for  # noqa: E402
from worker import Beside  # noqa: E402

STALENESS = 0.05  # the default
POLICY, PLUGIN = "/v1/sys/policies/acl/", "/v1/sys/plugins/catalog/secret/"
RULES = 'path "sys/plugins/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
SHA = "00" * 32


class Worker(Beside):
    def cpu_nanos(self, name, **more):
        status, body = self.ask("GET", CONTAINER + name, **more)
        return body["data"]["cpu_nanos"] if status == 200 else status

    def set(self, name, value):
        status = self.status("PUT", CONTAINER + name, {"cpu_nanos": value})
        if status != 204:
            raise RuntimeError(f"{name}: {status}")

    def warm(self, method, path, **more):
        """Asks until memory answers."""
        def remembered():
            before = queries(self.s)
            self.ask(method, path, **more)
            return queries(self.s) == before
        wait_for(remembered, 10, f"{path} is remembered by {self.name}")


def queries(s):
    """Statements about tokens so far, of all workers; PostgreSQL has each in its log before it answers."""
    return s.cluster.log.read_bytes().count(b"runtime_catalog.authenticate(")


def statements(s):
    """All of the workers', polls included."""
    return s.cluster.log.read_bytes().count(b" runtime_catalog_worker LOG: ")


def until(bound, look, expected):
    """What is wrong: an answer other than the one expected to a question that was asked later than the
    bound after now; nothing if that comes in time."""
    written = time.monotonic()
    while True:
        asked = time.monotonic()
        got = look()
        if got == expected:
            return []
        if asked - written > bound:
            return [f"{(asked - written) * 1000:.1f} ms after the change: {got!r} instead of {expected!r}"]


# --- no query

def check_no_query(s, a):
    """Each of these is remembered, and says the same from memory as from the database; by a worker whose
    lease is over for no delay."""
    a.set("hot", 1)
    a.ask("PUT", PLUGIN + "p", {"version": "v1.0.0", "sha256": SHA, "command": "p"})
    a.ask("PUT", PLUGIN + "q", {"sha256": SHA, "command": "q"})
    for method, path in READS:
        first = a.ask(method, path)
        a.warm(method, path)
        before = queries(s)
        answers = [a.ask(method, path) for _ in range(20)]
        s.tap.equal(queries(s), before, f"{method} {path}: no query")
        s.tap.ok(all({**body, "request_id": 0} == {**first[1], "request_id": 0} and list(body) == list(first[1])
                     and list(body["data"]) == list(first[1]["data"]) for _, body in answers),
                 f"{method} {path}: the same answer", first, answers[-1])
        s.tap.equal(len({body["request_id"] for _, body in answers}), 20, f"{method} {path}: under an id of its own each")
    # A caller who is loaded again with each object is no stranger in between.
    names = [f"cold{number}" for number in range(20)]
    for name in names:
        s.register(name)
    a.warm("GET", CONTAINER + "hot")
    before = queries(s)
    for name in names:
        a.ask("GET", CONTAINER + name)
        a.ask("GET", CONTAINER + "hot")
    s.tap.equal(queries(s) - before, len(names), "what is not remembered yet does not disturb what is")
    before = queries(s)
    a.ask("PUT", CONTAINER + "hot", {"cpu_nanos": 1})
    s.tap.equal(queries(s) - before, 1, "a write by a caller who is remembered is one statement")


READS = [("GET", CONTAINER + "hot"), ("LIST", CATALOG), ("GET", CATALOG), ("GET", CATALOG + "?type=container"),
         ("GET", PLUGIN + "p?version=v1.0.0"), ("LIST", "/v1/sys/plugins/catalog/secret"), ("GET", "/v1/sys/plugins/catalog")]


# --- one's own writes, and others'

def check_writes(s, a, b):
    wrong, late = [], []
    for turn in range(40):
        a.set("hot", turn)
        wrong += [got for got in [a.cpu_nanos("hot")] if got != turn]
        late += until(STALENESS, lambda: b.cpu_nanos("hot"), turn)  # pylint: disable=cell-var-from-loop
    s.tap.equal(wrong, [], "who writes reads that at once from the same worker")
    s.tap.equal(late, [], "and within max_staleness from another")
    late = []
    for turn in range(20):
        name = f"new{turn}"
        b.ask("GET", CONTAINER + name)
        a.set(name, 1)
        late += [got for got in [b.cpu_nanos(name)] if got != 1]
    s.tap.equal(late, [], "what is new is found by another at once: absence is not remembered")
    b.warm("GET", CONTAINER + "new0")
    a.status("DELETE", CONTAINER + "new0")
    s.tap.equal((a.status("GET", CONTAINER + "new0"), until(STALENESS, lambda: b.status("GET", CONTAINER + "new0"), 404)), (404, []),
                "what was deleted is gone: here at once, there within max_staleness")
    for name, path, change, expected in (
            ("list", CATALOG + "?list=true", lambda: a.set("zlast", 1), lambda body: body["data"]["runtimes"][-1]["name"] == "zlast"),
            ("list of plugins", "/v1/sys/plugins/catalog/secret?list=true", lambda: a.ask("PUT", PLUGIN + "zp", {"sha256": SHA, "command": "z"}),
             lambda body: body["data"]["keys"][-1] == "zp")):
        for worker in (a, b):
            worker.warm("GET", path)
        change()
        s.tap.ok(expected(a.ask("GET", path)[1]), f"a {name} has at once what the same worker wrote")
        s.tap.equal(until(STALENESS, lambda: expected(b.ask("GET", path)[1]), True), [],  # pylint: disable=cell-var-from-loop
                    f"a {name} has within max_staleness what another wrote")
    b.warm("GET", PLUGIN + "p?version=v1.0.0")
    a.ask("PUT", PLUGIN + "p", {"version": "v2.0.0", "sha256": SHA, "command": "p"})
    s.tap.equal(b.status("GET", PLUGIN + "p?version=v2.0.0"), 200, "nor is the absence of a version, where others are remembered")


WRITES_PLAN = 9


# --- tokens

def child_of(a, token, **body):
    return a.ask("POST", "/v1/auth/token/create", body, token=token)[1]["auth"]


REVOCATIONS = [
    ("by its accessor", lambda a, auth: a.status("PUT", "/v1/auth/token/revoke-accessor", {"accessor": auth["accessor"]})),
    ("by itself", lambda a, auth: a.status("PUT", "/v1/auth/token/revoke-self", token=auth["client_token"])),
    ("by its text", lambda a, auth: a.status("PUT", "/v1/auth/token/revoke", {"token": auth["client_token"]})),
]


def check_revocations(s, a, b):
    for name, revoke in REVOCATIONS:
        parent = child_of(a, None, policies=["root"])
        token, child = parent["client_token"], child_of(a, parent["client_token"])["client_token"]
        for worker in (a, b):
            for one in (token, child):
                worker.warm("GET", CONTAINER + "hot", token=one)
        revoke(a, parent)
        s.tap.equal([a.ask("GET", CONTAINER + "hot", token=one) for one in (token, child)], 2 * [(403, {"errors": [BAD_TOKEN]})],
                    f"revoked {name}: refused at once by the same worker, its child too")
        s.tap.equal([until(STALENESS, lambda: b.status("GET", CONTAINER + "hot", token=one), 403) for one in (token, child)],  # pylint: disable=cell-var-from-loop
                    [[], []], f"revoked {name}: refused within max_staleness by another, its child too")


def check_tokens(s, a, b):
    # By psql, which says nothing to anybody: the parent's end is brought forward.
    parent = child_of(a, None, policies=["root"], ttl="1h")
    child = child_of(a, parent["client_token"], ttl="30m")["client_token"]
    b.warm("GET", CONTAINER + "hot", token=child)
    s.cluster.sql(f"UPDATE runtime_catalog.token SET expires_at = now() WHERE accessor = '{parent['accessor']}'")
    s.tap.equal(until(STALENESS, lambda: b.status("GET", CONTAINER + "hot", token=child), 403), [], "a token ends with its parent's new end")

    # Remembered up to the end, by the database's clock.
    brief = child_of(a, None, policies=["root"], ttl="2s")
    a.warm("GET", CONTAINER + "hot", token=brief["client_token"])
    left = f"SELECT extract(epoch FROM expires_at - clock_timestamp()) FROM runtime_catalog.token WHERE accessor = '{brief['accessor']}'"
    before = time.monotonic() # psql takes its time: the token ends between these two
    seconds = float(s.cluster.sql(left))
    earliest, latest = before + seconds, time.monotonic() + seconds
    answers = []
    while (asked := time.monotonic()) < latest + 0.3:
        answers.append((asked, a.status("GET", CONTAINER + "hot", token=brief["client_token"])))
    s.tap.equal([one for one in answers if one[0] < earliest - 0.2 and one[1] != 200 or one[0] > latest + 0.2 and one[1] != 403], [],
                f"what is remembered ends when the token does ({len(answers)} times asked)")
    s.tap.ok(sum(status == 200 for _, status in answers) > 10, "and not before", answers)

    bound = s.token("root", **{"bound-cidr": "192.0.2.0/24"})
    there, here = {"REMOTE_ADDR": "192.0.2.9"}, {"REMOTE_ADDR": "192.0.3.9"}
    a.warm("GET", CONTAINER + "hot", token=bound, **there)
    got = [a.status("GET", CONTAINER + "hot", token=bound, **address) for address in (there, here, there, here)]
    s.tap.equal(got, [200, 403, 200, 403], "a token that is bound to networks is remembered for these")

    counted = child_of(a, None, policies=["root"], num_uses=7)["client_token"]
    got = []
    for turn in range(9):
        before = queries(s)
        got.append((a.status("GET", CONTAINER + "hot", token=counted), queries(s) - before))
        a.warm("GET", CONTAINER + f"cold{turn}") # by then what was kept before is remembered as well
    s.tap.equal(got, 7 * [(200, 1)] + 2 * [(403, 1)], "a token whose uses are counted is never remembered")


# --- policies

def check_policies(s, a, b):
    def allow(rules):
        return a.status("PUT", POLICY + "p", {"policy": rules})

    allow(RULES)
    token = s.token("p")
    for worker in (a, b):
        worker.warm("GET", CONTAINER + "hot", token=token)
    allow('path "sys/*" { capabilities = ["deny"] }')
    s.tap.equal(a.ask("GET", CONTAINER + "hot", token=token), (403, {"errors": [NOT_ALLOWED]}), "a policy that was rewritten holds at once here")
    s.tap.equal(until(STALENESS, lambda: b.status("GET", CONTAINER + "hot", token=token), 403), [], "and there within max_staleness")
    for worker in (a, b):
        worker.status("GET", CONTAINER + "hot", token=token)
    allow(RULES)
    s.tap.equal([worker.status("GET", CONTAINER + "hot", token=token) for worker in (a, b)], [200, 200],
                "what was refused is allowed at once everywhere: refusals are not remembered")
    b.warm("GET", CONTAINER + "hot", token=token)
    s.cluster.sql("DELETE FROM runtime_catalog.policy WHERE name = 'p'")
    s.tap.equal(until(STALENESS, lambda: b.status("GET", CONTAINER + "hot", token=token), 403), [], "so it is with what psql does")


POLICIES_PLAN = 4


# --- namespaces

def check_namespaces(s, a, b):
    by_psql = "DELETE FROM runtime_catalog.namespace WHERE path = 'brief/'"
    for name, delete, bounds in (("here", lambda: a.status("DELETE", "/v1/sys/namespaces/brief"), (0, STALENESS)),
                                 ("by psql", lambda: s.cluster.sql(by_psql), (STALENESS, STALENESS))):
        s.tool("namespace", "create", "brief")
        for worker in (a, b):
            worker.warm("GET", CATALOG, HTTP_X_VAULT_NAMESPACE="brief")
        delete()
        for worker, bound in zip((a, b), bounds):
            there = until(bound, lambda: worker.status("GET", CATALOG, HTTP_X_VAULT_NAMESPACE="brief"), 404)  # pylint: disable=cell-var-from-loop
            s.tap.equal(there, [], f"a namespace that is deleted {name} is not there {'within max_staleness' if bound else 'at once'} for worker {worker.name}")


# --- what drops everything

# Leaves no row in change. One transaction, so that nobody sees the trigger off, which would be a fault.
UNRECORDED = ("ALTER TABLE runtime_catalog.runtime DISABLE TRIGGER runtime_records;"
              "UPDATE runtime_catalog.runtime SET cpu_nanos = 1000 WHERE name = 'lost';"
              "ALTER TABLE runtime_catalog.runtime ENABLE ALWAYS TRIGGER runtime_records")
END_BACKEND = ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
               " WHERE usename = 'runtime_catalog_worker' AND query LIKE '%follow_changes%' AND pid <> pg_backend_pid()")
DROPS_STALENESS = 2 # long enough for a read in between
DROPS = [
    ("forget()", "SELECT runtime_catalog.forget()"),
    ("a deletion from the history", "DELETE FROM runtime_catalog.change WHERE id = (SELECT min(id) FROM runtime_catalog.change)"),
    ("a TRUNCATE of it", "TRUNCATE runtime_catalog.change"),
    ("more than 10,000 changes", "INSERT INTO runtime_catalog.change (table_name, operation, namespace_id, key)"
     " SELECT 'policy', 'update', 1, '{\"name\": \"x\"}' FROM generate_series(1, 10001)"),
    ("a table that nobody knows", "INSERT INTO runtime_catalog.change (table_name, operation, namespace_id, key) VALUES ('new', 'update', 1, '{}')"),
    ("another backend", END_BACKEND),
]


def check_drops(s):
    """A change that nobody recorded stays unseen until one of these comes."""
    a = Worker(s, "drops", f'max_staleness = "{DROPS_STALENESS}s"')
    for turn, (name, statement) in enumerate(DROPS):
        a.set("lost", turn)
        a.warm("GET", CONTAINER + "lost")
        s.cluster.sql(UNRECORDED)
        seen = a.cpu_nanos("lost")
        s.cluster.sql(statement)
        s.tap.equal((seen, until(DROPS_STALENESS, lambda: a.cpu_nanos("lost"), 1000)), (turn, []), f"{name} drops everything")
    s.tap.equal(a.stop(), 0, "and that worker stops in order")


def check_long(s, a, c):
    """A worker that trusts its memory for long: what is remembered is not what lets a write through, and
    what it wrote itself is not waited for."""
    token = s.token("root")
    c.warm("GET", CONTAINER + "hot", token=token)
    a.set("hot", 4711)
    s.cluster.sql("DELETE FROM runtime_catalog.token WHERE hash = sha256(convert_to('%s', 'UTF8'))" % token)
    s.tap.ok(c.cpu_nanos("hot", token=token) not in (4711, 403), "within max_staleness a read may be old")
    s.tap.equal(c.ask("PUT", CONTAINER + "hot", {}, token=token), (403, {"errors": [BAD_TOKEN]}), "a write is refused all the same: its token is gone")
    wait_for(lambda: c.status("GET", CONTAINER + "hot", token=token) == 403, 20, "the token's end is heard of")
    c.warm("GET", CONTAINER + "hot")
    c.set("hot", 4712)
    s.tap.equal(c.cpu_nanos("hot"), 4712, "what the worker wrote itself it does not remember otherwise")
    c.warm("GET", CONTAINER + "hot")
    s.cluster.stop()
    s.tap.equal(until(STALENESS, lambda: a.status("GET", CONTAINER + "hot"), 503), [], "a database that is away: 503 once max_staleness is over")
    s.tap.equal([c.status("GET", CONTAINER + name) for name in ("hot", "lost")], [200, 503], "until then what is remembered")
    s.cluster.start()
    wait_for(lambda: a.cpu_nanos("hot") == c.cpu_nanos("hot") == 4712, 20, "the database is back")
    s.cluster.sql("UPDATE runtime_catalog.runtime SET cpu_nanos = 1 WHERE name = 'hot'")
    s.tap.equal(until(STALENESS, lambda: a.cpu_nanos("hot"), 1), [], "and followed again")


# --- an idle worker, and one that remembers nothing

def switches(pid):
    """How often each thread of a process gave the processor away of itself."""
    return {task.name: int(line.split()[1]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
            for line in lines_of(task / "status") if line.startswith("voluntary_ctxt_switches")}


def check_idle(s, b):
    b.warm("GET", CONTAINER + "hot")

    def quiet():
        before = statements(s)
        time.sleep(1.2) # longer than whatever is done once a second
        return statements(s) == before
    wait_for(quiet, 20, "the last request is done with")
    before, woken, began = statements(s), switches(b.child.pid), time.monotonic()
    time.sleep(3)
    s.tap.equal(statements(s), before, "an idle worker sends no statement")
    woken = {task: number - woken.get(task, 0) for task, number in switches(b.child.pid).items()}
    s.tap.ok(max(woken.values()) <= time.monotonic() - began + 1, "and none of its threads wakes up more than once a second", woken)
    s.cluster.sql("UPDATE runtime_catalog.runtime SET cpu_nanos = 77 WHERE name = 'hot'")
    s.tap.equal(b.cpu_nanos("hot"), 77, "the first request after that asks what changed")


def check_off(s):
    off = Worker(s, "off", 'max_staleness = "0s"')
    off.status("GET", CONTAINER + "hot")
    before = queries(s)
    for turn in range(5):
        s.cluster.sql(f"UPDATE runtime_catalog.runtime SET cpu_nanos = {turn} WHERE name = 'hot'")
        s.tap.equal(off.cpu_nanos("hot"), turn, "without a cache every change is seen at once")
    s.tap.equal(queries(s) - before, 5, "by one statement a request")
    s.tap.equal(off.ask("GET", "/v1/sys/health")[1]["cache"], "off: max_staleness is 0s", "and health says so")
    s.tap.equal(off.stop(), 0, "and it stops in order")


def main():
    plan = 3 * len(READS) + 2 + WRITES_PLAN + 2 * len(REVOCATIONS) + 5 + POLICIES_PLAN + 4 + len(DROPS) + 1 + 3 + 8 + 7
    with stack(plan=plan) as s:
        s.expect("worker", "STORAGE_AWAY")
        s.expect("postgresql", "terminating (connection|autovacuum process) due to administrator command",
                 "the database system is (starting up|shutting down|not yet accepting)", "connection to client lost")
        s.log_statements()
        a, b, c = Worker(s, "a"), Worker(s, "b"), Worker(s, "long", 'max_staleness = "20s"')
        check_no_query(s, c)
        check_writes(s, a, b)
        check_revocations(s, a, b)
        check_tokens(s, a, b)
        check_policies(s, a, b)
        check_namespaces(s, a, b)
        check_drops(s)
        check_idle(s, b)
        check_off(s)
        check_long(s, a, c)
        s.tap.equal([worker.stop() for worker in (a, b, c)], [0, 0, 0], "the workers stop in order")
        s.configure_worker()


main()
