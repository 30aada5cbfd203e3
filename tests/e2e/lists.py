#!/usr/bin/python3
"""Lists of many pages: from memory, of which one change leaves the most; from the database, while they
are sent, where there is no memory or not enough. Each shows one moment, and one that breaks off is not
taken for a whole."""
import concurrent.futures
import contextlib
import json
import re
import sys
import threading

sys.path.append(sys.path[0] + "/../lib")
import fastcgi  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from processes import wait_for  # noqa: E402
from worker import Beside  # noqa: E402

COUNT = 34000 # three pages, and more than is gathered before it is sent
PAGES = 3
TYPE = CATALOG + "?type=container"
CROWD = 24 # more than may wait for their turn at a list
FILL = f"""
BEGIN;
ALTER TABLE runtime_catalog.runtime DISABLE TRIGGER USER;
INSERT INTO runtime_catalog.runtime (namespace_id, type, name, cgroup_parent)
SELECT 1, 'container', 'n' || lpad(number::text, 6, '0'), '/<limit>/&' FROM generate_series(1, {COUNT}) AS number;
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'runtime_catalog.runtime'::regclass AND NOT tgisinternal LOOP
        EXECUTE format('ALTER TABLE runtime_catalog.runtime ENABLE ALWAYS TRIGGER %I', name);
    END LOOP;
END $$;
SELECT runtime_catalog.forget();
COMMIT;
"""
FIRST, LAST = "n000001", f"n{COUNT:06}"
# One transaction: the first and the last say the same at any moment, and of two names there is one.
STEP = """
BEGIN;
UPDATE runtime_catalog.runtime SET cpu_nanos = {turn} WHERE name IN ('{first}', '{last}');
DELETE FROM runtime_catalog.runtime WHERE name = '{old}';
INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1, 'container', '{new}');
COMMIT;
"""
END_POOL = ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'runtime_catalog_worker'"
            " AND query NOT LIKE '%lease_follow%'")
WANDERERS = ("a-first", "z-last")


class Worker(Beside):
    def ask_raw(self, path):
        """(head, body) of a list."""
        self.connection.send(fastcgi.request("LIST", path, self.s.root_token, keep=1))
        head, _, text = self.connection.receive().partition(b"\r\n\r\n")
        return head.decode(), text

    def cpu_nanos(self, name):
        return self.ask("GET", CONTAINER + name)[1]["data"]["cpu_nanos"]


def queries(s):
    """Statements about tokens so far; PostgreSQL has each in its log before it answers."""
    return s.cluster.log.read_bytes().count(b"runtime_catalog.authenticate(")


def elided(text):
    """The audit log would be long."""
    return text.replace('audit "file" {', 'audit "file" {\n  elide_list_responses = true')


def statements(s):
    """How many of a list there were so far: (pages, changes)."""
    log = s.cluster.log.read_bytes()
    return log.count(b"/* runtime_list_page */ SELECT"), log.count(b"/* runtime_list_changes */ WITH")


def asked(s, action):
    """What was asked meanwhile, and what came of it."""
    before = statements(s)
    result = action()
    return tuple(now - then for now, then in zip(statements(s), before)), result


def runtimes(worker, path=CATALOG):
    status, body = worker.ask("LIST", path)
    if status != 200:
        raise RuntimeError(f"{status}: {body}")
    return body["data"]["runtimes"]


def warm(s, worker, path=CATALOG):
    def remembered():
        before = queries(s)
        worker.ask_raw(path)
        return queries(s) == before
    wait_for(remembered, 30, f"the list is remembered by {worker.name}")


def faults(listed, turn=None):
    """What is not as it is at any moment."""
    names = [one["name"] for one in listed]
    values = {one["cpu_nanos"] for one in listed if one["name"] in (FIRST, LAST)}
    if names != sorted(names):
        yield "not sorted"
    if len(names) != COUNT + 1:
        yield f"{len(names)} runtimes"
    if len(values) != 1 or turn is not None and values != {turn}:
        yield f"the first and the last say {values}"
    if sum(name in names for name in WANDERERS) != 1:
        yield "of what moves there is not one"


class Mover:
    """Changes the first and the last together, again and again."""

    def __init__(self, s):
        self.s, self.turn = s, 0
        self.over = threading.Event()

    def step(self):
        self.turn += 1
        old, new = WANDERERS[:: 1 if self.turn % 2 else -1]
        self.s.cluster.sql(STEP.format(turn=self.turn, first=FIRST, last=LAST, old=old, new=new))

    def run(self):
        while not self.over.wait(0.01):
            self.step()

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def settled(look, wanted):
    """What is seen, of a few looks the first that is as wanted: where a poll comes late, on a machine that is
    busy, the worker asks the database, and remembers again a moment later."""
    for _ in range(20):
        got = look()
        if got == wanted:
            break
    return got


def check_memory(s, a, mover):
    (pages, _), listed = asked(s, lambda: runtimes(a))
    s.tap.ok(not list(faults(listed, 0)) and pages >= 1 + PAGES, "read the first time: page by page", pages, *faults(listed, 0))
    s.tap.equal(listed[1], {"cgroup_parent": "/<limit>/&", "cpu_nanos": 0, "memory_bytes": 0, "name": FIRST, "oci_runtime": "runsc",
                            "rootless": False, "type": "container"}, "each with all that it has")

    def without_query(look):
        before = queries(s)
        return look(), queries(s) - before

    def by_type():
        return runtimes(a, TYPE) == listed, runtimes(a, CATALOG + "?type=unsupported")

    def single():
        return a.cpu_nanos(LAST), a.ask("GET", CONTAINER + FIRST)[1]["data"] == listed[1]

    def after_change():
        mover.step()
        wait_for(lambda: a.cpu_nanos(LAST) == mover.turn, 10, "the worker hears of the change")
        counts, listed = asked(s, lambda: runtimes(a))
        return list(faults(listed, mover.turn)), counts

    def after_write():
        a.ask("PUT", CONTAINER + "n000002", {"cpu_nanos": 5})
        counts, listed = asked(s, lambda: runtimes(a))
        return {one["name"]: one["cpu_nanos"] for one in listed}["n000002"], counts

    warm(s, a)
    s.tap.equal(settled(lambda: without_query(by_type), ((True, []), 0)), ((True, []), 0), "of a type: from the same memory")
    s.tap.equal(settled(lambda: without_query(single), ((0, True), 0)), ((0, True), 0), "and so is one of them that was never asked for")
    s.tap.equal(settled(after_change, ([], (0, 1))), ([], (0, 1)), "what has changed is read alone")
    s.tap.equal(settled(after_write, (5, (0, 1))), (5, (0, 1)), "what the same worker wrote, too")
    warm(s, a)
    s.tap.equal(settled(lambda: without_query(lambda: a.cpu_nanos("n000002")), (5, 0)), (5, 0), "and is found in the list again")
    # Nobody who answers now was there when the list was read: whether the server crashed meanwhile is not known.
    s.cluster.sql(END_POOL)
    a.ask("PUT", CONTAINER + "n000002", {"cpu_nanos": 6})
    (pages, _), listed = asked(s, lambda: runtimes(a))
    s.tap.ok(not list(faults(listed, mover.turn)) and pages >= 1 + PAGES, "after all backends have gone it is read as a whole", pages)
    s.cluster.sql("SELECT runtime_catalog.forget()")
    wait_for(lambda: asked(s, lambda: runtimes(a))[0][0] > 0, 30, "after forget() it is read as a whole")
    s.tap.equal(list(faults(runtimes(a), mover.turn)), [], "and is the same")


MEMORY_PLAN = 9


def check_moment(s, workers, mover):
    for name, worker in workers.items():
        before = mover.turn
        with mover:
            wrong = [fault for _ in range(10 if worker.name == "a" else 3) for fault in faults(runtimes(worker))]
        mover.over.clear()
        s.tap.equal(wrong[:5], [], f"{name}: one moment, whatever is written meanwhile")
        s.tap.ok(mover.turn > before, f"{name}: and something was", mover.turn - before)


def check_sent(s, off, small, a):
    """What is sent while it is read: the same to the byte."""
    head, expected = a.ask_raw(CATALOG)
    tag = re.findall(r"ETag: (.*)", head)
    data = expected[expected.index(b'"data":'):]
    for name, worker in (("without a cache", off), ("with one that is too small", small)):
        for path in (CATALOG, TYPE):
            (pages, changes), (head, body) = asked(s, lambda: worker.ask_raw(path))  # pylint: disable=cell-var-from-loop
            s.tap.ok(body.endswith(data), f"{name}, {path}: the same to the byte", body[:200], data[:200])
            s.tap.equal((re.findall(r"Content-Length: (\d+)", head), re.findall(r"ETag: (.*)", head), pages, changes),
                        ([str(len(body))], tag, 1 + 2 * PAGES, 0), f"{name}, {path}: its length and its tag are known")
        s.tap.equal(runtimes(worker, CATALOG + "?type=unsupported"), [], f"{name}: none of a type that has none")


SENT_PLAN = 10


def check_break(s, off):
    """The database goes while the answer is under way."""
    off.status("GET", CONTAINER + FIRST)
    peer = off.connection.connected()
    peer.sendall(fastcgi.request("LIST", CATALOG, s.root_token, keep=1))
    got = peer.recv(1000)
    s.cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction' AND usename = 'runtime_catalog_worker'")
    got += fastcgi.received(peer)
    head, _, body = fastcgi.answer(got).partition(b"\r\n\r\n")
    announced = int(re.search(rb"Content-Length: (\d+)", head)[1])
    s.tap.ok(head.startswith(b"Status: 200") and len(body) < announced and not fastcgi.ended(got),
             "where the database goes in the middle, the answer breaks off", head, len(body), announced)
    off.connection.close()
    s.tap.equal(len(runtimes(off)), COUNT + 1, "and the next one is whole")


def check_crowd(s, off):
    """More than may read at once: nobody waits for ever, and who reads little is served."""
    def one(number):
        with contextlib.closing(fastcgi.Connection(s.folder / "off.sock")) as connection:
            path = CONTAINER + LAST if number % 4 == 0 else CATALOG
            connection.send(fastcgi.request("GET", path, s.root_token, keep=1))
            head, _, body = connection.receive().partition(b"\r\n\r\n")
            whole = int(re.search(rb"Content-Length: (\d+)", head)[1]) == len(body)
            return path, int(head.split()[1]), whole and (head.count(b"Retry-After: 1") == (b"Status: 503" in head))
    with concurrent.futures.ThreadPoolExecutor(CROWD) as pool:
        answers = list(pool.map(one, range(CROWD)))
    s.tap.ok(all(whole for _, _, whole in answers), "a crowd: every answer is whole, or says when to come again", answers)
    s.tap.equal({status for path, status, _ in answers if path != CATALOG}, {200}, "a crowd: who reads one runtime is served")
    statuses = [status for path, status, _ in answers if path == CATALOG]
    s.tap.ok(set(statuses) <= {200, 503} and 200 in statuses, "a crowd: lists are read in turn", statuses)
    s.tap.equal([len(runtimes(off)) for _ in range(3)], 3 * [COUNT + 1], "and afterwards the next one is read")


def check_audit(s):
    records = [json.loads(line) for line in s.audit_log.read_bytes().splitlines() if len(line) < 10000]
    data = [record["response"].get("data") for record in records if record["type"] == "response"]
    s.tap.ok(data.count({"runtimes": COUNT + 1}) >= 4 and len(data) == s.audit_log.read_bytes().count(b'"type":"response"'),
             "a list that is sent while it is read is recorded by its length", data)


def main():
    with stack(plan=MEMORY_PLAN + SENT_PLAN + 4 + 2 * 3 + 2 + 1 + 1) as s:
        s.expect("worker", "STORAGE_AWAY", "terminating connection due to administrator command")
        s.expect("postgresql", "terminating connection due to administrator command", "connection to client lost")
        s.cluster.sql(FILL)
        s.register(WANDERERS[0])
        s.log_statements()
        mover = Mover(s)
        a = Worker(s, "a", edit=elided)
        off = Worker(s, "off", 'max_staleness = "0s"')
        small = Worker(s, "small", 'max_bytes = "1MiB"', edit=elided)
        check_memory(s, a, mover)
        check_sent(s, off, small, a)
        check_audit(s)
        check_moment(s, {"from memory": a, "without a cache": off, "with one that is too small": small}, mover)
        check_break(s, off)
        check_crowd(s, off)
        s.tap.equal([worker.stop() for worker in (a, off, small)], [0, 0, 0], "the workers stop in order")
        s.configure_worker()


main()
