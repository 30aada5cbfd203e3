#!/usr/bin/python3
"""A synchronous standby is promoted under load: nothing that was acknowledged is lost, the service
is back by itself, and the old primary is not written to again. Before that: a worker that reaches
only a standby, and a COMMIT that was made to stop waiting for one."""
import collections
import concurrent.futures
import json
import os
import socket
import sys
import threading
import time

sys.path.append(sys.path[0] + "/../lib")
import fastcgi  # noqa: E402
from cluster import lines_of  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from processes import start, stop, wait_for, wait_for_listener  # noqa: E402

SOAK = float(os.environ.get("RUNTIME_CATALOG_SOAK_SECONDS", "0"))
CLIENTS = 6
WRITES = 150 # before the fail-over, and after it
PATIENCE = 60 # seconds: the bound of what usually takes one or two
HEALTH = "/v1/sys/health"
SIDES = {"any": "", "read-write": "target_session_attrs=read-write"} # names, and what a connection string says


def url(*clusters, wish="", role="runtime_catalog_worker"):
    hosts = ",".join(str(cluster.socket) for cluster in clusters)
    return f"host={hosts} dbname=runtime_catalog user={role} {wish}"


def configure(s, connection_url, storage=""):
    s.configure_worker(lambda text: text.replace(s.cluster.dsn("runtime_catalog_worker"), connection_url), storage=storage)


class Side:
    """A worker beside the one that nginx knows, on a socket of its own."""

    def __init__(self, s, name, connection_url):
        self.s, self.name, self.path = s, name, s.folder / f"{name}.sock"
        text = (s.folder / "worker.conf").read_text()
        url_there = text.split('connection_url  = "')[1].split('"')[0]
        (s.folder / f"{name}.conf").write_text(
            text.replace(url_there, connection_url).replace(str(s.folder / "worker.sock"), str(self.path)))
        self.child = start([s.folder / "bin/runtime-catalogd", "-c", s.folder / f"{name}.conf"], s.folder / f"worker-{name}.log")
        wait_for_listener(self.child, self.path, s.folder / f"worker-{name}.log")

    def ask(self, method, path, body=b""):
        """Status and JSON."""
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(20)
            peer.connect(str(self.path))
            said = fastcgi.exchange(peer, fastcgi.request(method, path, self.s.root_token, body)).decode()
        head, _, body = said.partition("\r\n\r\n")
        return int(head.split()[1]), json.loads(body or "{}")

    def health(self):
        status, body = self.ask("GET", HEALTH)
        return status, body["standby"], body["storage"]

    def close(self):
        return stop(self.child, 15)


class Load:
    """Clients that write through the whole chain without a pause, each on a connection of its own,
    and remember what was acknowledged: runtimes that they made, and the last state of one each."""

    def __init__(self, s):
        self.s, self.over = s, threading.Event()
        self.acknowledged = [] # (when it was sent, when it was answered)
        self.made, self.possible = set(), {}
        self.statuses, self.faults, self.health = collections.Counter(), [], []
        self.pool = concurrent.futures.ThreadPoolExecutor(CLIENTS + 1)
        self.running = [*(self.pool.submit(self.run, number) for number in range(CLIENTS)), self.pool.submit(self.watch)]

    def put(self, connection, name, turn):
        sent = time.monotonic()
        response = self.s.request("PUT", CONTAINER + name, {"cpu_nanos": turn}, connection=connection)
        self.statuses[response.status] += 1
        if response.status == 204:
            self.acknowledged.append((sent, time.monotonic()))
        elif response.status != 503 or response.header("Retry-After") != "1":
            self.faults.append(response)
        return response.status == 204

    def run(self, number):
        connection = self.s.client.connect()
        turn, own = 0, f"own{number}"
        self.possible[own] = [0]
        while not self.over.is_set():
            turn += 1
            if self.put(connection, f"made{number}-{turn}", turn):
                self.made.add(f"made{number}-{turn}")
            # What is not acknowledged may have happened.
            self.possible[own] = [turn] if self.put(connection, own, turn) else [*self.possible[own], turn]
        connection.close()

    def watch(self):
        while not self.over.is_set():
            response = self.s.request("GET", HEALTH, token=None)
            self.health.append((response.status, response.key("storage")))
            self.over.wait(0.05)

    def go_on(self, count):
        wanted = len(self.acknowledged) + count
        wait_for(lambda: len(self.acknowledged) >= wanted or any(one.done() for one in self.running), PATIENCE,
                 f"{count} writes more are acknowledged: {self.statuses}")

    def first_after(self, moment):
        """When the first was acknowledged that was sent after that."""
        return min((answered for sent, answered in self.acknowledged if sent > moment), default=None)

    def end(self):
        self.over.set()
        for one in self.running:
            one.result()
        self.pool.shutdown()

    def lost(self):
        """What was acknowledged and is not there."""
        there = {runtime["name"]: runtime["cpu_nanos"] for runtime in self.s.request("LIST", CATALOG).data["runtimes"]}
        return sorted(self.made - there.keys()) + [
            f"{name}: {there.get(name)} is none of {possible[:5]}" for name, possible in self.possible.items()
            if there.get(name, 0) not in possible]


def fail_over(s, lose, standby, figures):
    """The primary is lost, the standby promoted; returns what the clients saw."""
    load = Load(s)
    load.go_on(WRITES)
    lose()
    killed = time.monotonic()
    standby.promote()
    standby.wait_for_none()
    promoted = time.monotonic()
    wait_for(lambda: load.first_after(promoted), PATIENCE, "a write is acknowledged again")
    load.go_on(WRITES)
    load.end()
    back = load.first_after(killed)
    figures.append((back - killed, max(0.0, back - promoted)))
    print(f"# {len(load.acknowledged)} writes acknowledged, {load.statuses[503]} refused; back {back - killed:.2f} s after the primary was"
          f" lost, {max(0.0, back - promoted):.2f} s after the promotion, which took {promoted - killed:.2f} s")
    return load


def changes(cluster):
    return cluster.sql("SELECT count(*), max(id) FROM runtime_catalog.change")


def standby_alone(s, standby):
    """Two workers that reach only the standby: one that takes what there is, one that wants more."""
    for name, wish in SIDES.items():
        side = Side(s, name, url(standby, wish=wish))
        s.tap.equal(side.health(), (429, True, "standby"), f"{name}: health says that it is a standby")
        s.tap.equal(side.ask("GET", HEALTH + "?standbyok=true")[0], 200, f"{name}: which is good if asked like that")
        status, body = side.ask("PUT", CONTAINER + "example", b"{}")
        s.tap.equal((status, body), (503, {"errors": ["storage is read-only"]}), f"{name}: a write is refused")
        status, body = side.ask("GET", CONTAINER + "example")
        s.tap.equal(status, 200 if name == "any" else 503, f"{name}: a read is {'answered' if name == 'any' else 'refused, too'}")
        yield side


def promoted(s, sides):
    for side in sides:
        wait_for(lambda side=side: side.health() == (200, False, "available"), PATIENCE, f"{side.name}: health is good")
        s.tap.ok(True, f"{side.name}: after the promotion health is good by itself")
        s.tap.equal(side.ask("PUT", CONTAINER + "example", b"{}")[0], 204, f"{side.name}: and writes are taken")
        s.tap.equal(side.close(), 0, f"{side.name}: ends in order")


def unconfirmed(s, standby):
    """The standby stands still. A COMMIT that waits for it is made to stop, or is not waited for."""
    configure(s, url(s.cluster), storage='statement_timeout = "700ms"')
    s.stop_worker()
    s.start_worker()
    resume = standby.suspend()
    waits = ("SELECT count(*) FROM pg_stat_activity WHERE usename = 'runtime_catalog_worker' AND wait_event = 'SyncRep'")
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as client:
            asked = client.submit(s.request, "PUT", CONTAINER + "stopped", {"cpu_nanos": 1})
            wait_for(lambda: s.cluster.sql(waits) == "1", 10, "the COMMIT waits")
            s.cluster.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
            response = asked.result()
        s.answer("a COMMIT that was made to stop waiting for the standby: 503", response, 503, like="storage is not available")
        s.tap.ok(any("not confirmed by a standby" in line for line in lines_of(s.worker_log)), "which the log explains")
        response = s.request("PUT", CONTAINER + "slow", {"cpu_nanos": 1})
        s.answer("a COMMIT that takes too long: 503", response, 503, like="storage is not available")
        s.tap.equal(s.cluster.sql(waits), "1", "and it is not cancelled")
    finally:
        resume()
    wait_for(lambda: s.request("GET", CONTAINER + "slow").status == 200, PATIENCE, "the COMMIT is done when the standby goes on")
    s.tap.ok(True, "so that it is done when the standby goes on")


def old_primary(s, old, new):
    """It comes back, and nobody tells it that it was replaced. Now the new one is away."""
    old.start()
    old.wait_for_none()
    before = changes(old)
    old.sql("INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1, 'tempting', '')")
    s.tap.ok(changes(old) != before, "the old primary is back and would take writes")
    before = changes(old)
    for _ in range(20):
        s.request("PUT", CONTAINER + "example", {})
    new.stop()
    answers = [s.request(method, CONTAINER + "example", body) for _ in range(10) for method, body in (("PUT", {}), ("GET", None))]
    s.tap.equal({answer.status for answer in answers}, {503}, "while the new one is away: 503, for reads as well")
    s.tap.equal(changes(old), before, "the old primary is not written to again")
    s.tap.ok(any("an old primary, timeline" in line for line in lines_of(s.worker_log)), "and the log says why")
    new.start()
    wait_for(lambda: s.request("PUT", CONTAINER + "example", {}).status == 204, PATIENCE, "the new primary is back, and the service")
    s.tap.equal(changes(old), before, "nor after that")
    old.stop()


def half_replaced(s, old, new):
    """The old primary lives on, and the connection that follows its changes with it, while all others
    have gone to the new one: what is remembered must not be what the old one knows."""
    s.request("PUT", CONTAINER + "example", {"cpu_nanos": 1})
    for _ in range(3):
        s.request("GET", CONTAINER + "example")
    hba = old.data / "pg_hba.conf"
    hba.write_text("local all runtime_catalog_worker reject\n" + hba.read_text())
    old.wait_for_none()
    old.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'runtime_catalog_worker' AND query NOT LIKE '%lease_follow%'")
    follows = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'runtime_catalog_worker'"
    s.tap.equal(old.sql(follows), "1", "the old primary keeps the connection that follows changes")
    new.promote()
    new.wait_for_none()
    wait_for(lambda: s.request("PUT", CONTAINER + "other", {}).status == 204, PATIENCE, "writes go to the new primary")
    new.sql("UPDATE runtime_catalog.runtime SET cpu_nanos = 2 WHERE name = 'example'")
    began = time.monotonic()
    while s.request("GET", CONTAINER + "example").data["cpu_nanos"] != 2 and time.monotonic() - began < PATIENCE:
        pass
    s.tap.ok(time.monotonic() - began < PATIENCE, "what is remembered is what the new one knows")
    wait_for(lambda: old.sql(follows) == "0", PATIENCE, "the old primary is left")
    old.stop()


def read_only(s):
    """Whoever administers the primary has closed it for writes."""
    set_default = "ALTER ROLE runtime_catalog_worker %s default_transaction_read_only"
    s.cluster.sql((set_default % "SET") + " = on")
    side = Side(s, "closed", url(s.cluster))
    s.tap.equal(side.health(), (429, True, "read-only"), "a primary that was closed for writes: health says so")
    s.tap.equal(side.ask("PUT", CONTAINER + "example", b"{}"), (503, {"errors": ["storage is read-only"]}), "a write is refused")
    s.tap.equal(side.ask("GET", CONTAINER + "example")[0], 200, "a read is answered")
    s.cluster.sql(set_default % "RESET")
    wait_for(lambda: side.health() == (200, False, "available"), PATIENCE, "health is good")
    s.tap.equal(side.ask("PUT", CONTAINER + "example", b"{}")[0], 204, "opened again, it is written to by itself")
    s.tap.equal(side.close(), 0, "the worker ends in order")


def turn_round(s, primary, old, wish, storage=""):
    """What was the primary becomes the standby of what was its own."""
    standby = primary.standby(old.socket, "standby")
    primary.wait_for_standby("standby")
    configure(s, url(standby, primary, wish=wish), storage)
    s.stop_worker()
    s.start_worker()
    return standby


PHASES = 5 + 2 * 4 + 5 + 2 * 3 + 5 + 2
PLAN = PHASES + 2 * 4 + 1

with stack(plan=PLAN, site="stand-alone") as s:
    s.expect("worker", "STORAGE_AWAY", "storage is (not available|read-only)")
    s.expect("postgresql", "terminating connection", "the database system is", "terminating walreceiver", "could not (connect|receive|send)",
             "recovery is in progress", "pg_hba.conf rejects", "connection to client lost")
    s.expect("nginx", "upstream")
    s.register("example")
    first, figures = s.cluster, []
    read_only(s)
    second = first.standby(s.folder / "second", "standby")
    first.wait_for_standby("standby")

    unconfirmed(s, second)
    sides = list(standby_alone(s, second))
    configure(s, url(first, second))
    s.stop_worker()
    s.start_worker()

    def judge(load, name):
        lost = load.lost()
        s.tap.equal(lost, [], f"{name}: of {len(load.acknowledged)} acknowledged writes none is lost")
        s.tap.ok(not load.faults, f"{name}: what was refused was refused with 503 and Retry-After", *load.faults[:3])
        s.tap.ok({status for status, _ in load.health} <= {200, 429, 503} and load.health[-1] == (200, "available"),
                 f"{name}: health told what was the matter", collections.Counter(load.health))
        s.tap.ok(figures[-1][1] < PATIENCE / 2, f"{name}: the service was back by itself", figures[-1])

    judge(fail_over(s, first.kill, second, figures), "any server")
    promoted(s, sides)
    old_primary(s, first, second)

    # As when the machine is gone, or cut off: nothing is heard of the old one until it wakes up.
    primary, standby = second, turn_round(s, second, first, SIDES["read-write"], 'statement_timeout = "1s"')
    woken = []
    judge(fail_over(s, lambda: woken.append(primary.suspend()), standby, figures), "target_session_attrs=read-write, a primary that hangs")
    woken[0]()
    primary.stop()
    primary, standby = standby, turn_round(s, standby, primary, SIDES["any"])
    half_replaced(s, primary, standby)
    lost, begun = 0, time.monotonic()
    while time.monotonic() - begun < SOAK:
        primary, standby = standby, turn_round(s, standby, primary, list(SIDES.values())[len(figures) % 2])
        lost += len(fail_over(s, primary.kill, standby, figures).lost())
    print("# seconds without service, after the loss and after the promotion: "
          + ", ".join(f"{all_told:.2f} {after:.2f}" for all_told, after in figures))
    s.tap.equal(lost, 0, "in all the others none was lost either")
    standby.stop()
