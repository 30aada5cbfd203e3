#!/usr/bin/python3
"""Deletes of a runtime, registrations of a plugin with it, and updates of the runtime, all at once,
through two workers and psql: whatever comes first, every round ends as if the three had been one
after the other, and never with a plugin whose runtime is gone.

The long form of ./dev soak goes on for the seconds given, and runs them all in any case.
"""
import collections
import itertools
import json
import random
import socket
import ssl
import subprocess
import sys
import threading
import time

sys.path.append(sys.path[0] + "/../lib")
from cluster import BIN, lines_of  # noqa: E402
from harness import CONTAINER, SOAK, UNCACHED, stack  # noqa: E402
from processes import stop, wait_for  # noqa: E402

PLUGINS = "/v1/sys/plugins/catalog"
ROUNDS, SECONDS, FEWEST = 20_000, 35, 500
LANES = 4   # rounds that run at once, each with three clients
BATCH = 50  # rounds of a lane between two looks at the tables
ROOT = "(SELECT id FROM runtime_catalog.namespace WHERE path = '')"

# What a round may find: (the runtime's cpu_nanos or None, whether a plugin refers to it).
STARTS = [(1, False), (1, False), (None, False), (1, True)]
OPERATIONS = ["delete", "register", "update"]

# What each has to say: over the API by status, in psql by what it prints.
SAYS = {("delete", "api"): {204: "deleted", 400: "in use", 404: "missing"},
        ("delete", "psql"): {"1": "deleted", "ERROR:  23503": "in use", "0": "missing"},
        ("register", "api"): {204: "registered", 400: "no runtime"},
        ("register", "psql"): {"1": "registered", "ERROR:  23503": "no runtime"},
        ("update", "api"): {204: "updated"},
        ("update", "psql"): {"1": "updated", "0": "missing"}}


def run(state, operation, how):
    """One after the other: the state that follows, and what is said."""
    runtime, plugin = state
    if operation == "delete":
        return (state, "missing") if runtime is None else (state, "in use") if plugin else ((None, False), "deleted")
    if operation == "register":
        return (state, "no runtime") if runtime is None else ((runtime, True), "registered")
    return (state, "missing") if runtime is None and how == "psql" else ((2, plugin), "updated")


def explains(start, end, said):
    """Whether some order of the operations leads from start to end with these words.
    said: {operation: (how, word)}"""
    for order in itertools.permutations(said):
        state = start
        for operation in order:
            state, word = run(state, operation, said[operation][0])
            if word != said[operation][1]:
                break
        else:
            if state == end:
                return True
    return False


class Connection:
    """HTTP/1.1 and little else: what a client costs must not be what the race is about."""

    def __init__(self, s):
        self.s, self.socket, self.rest = s, None, b""

    def request(self, method, path, body):
        """(status, body)"""
        if not self.socket:
            plain = socket.create_connection(("127.0.0.1", self.s.client.port), timeout=40)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket, self.rest = self.s.client.context.wrap_socket(plain, server_hostname="localhost"), b""
        self.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: {self.s.root_token}\r\n"
                            f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        head = self.read(lambda: self.rest.find(b"\r\n\r\n") + 1)
        head, self.rest = head[:head.find(b"\r\n\r\n")].lower(), head[head.find(b"\r\n\r\n") + 4:]
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0]) if b"content-length:" in head else 0
        self.read(lambda: len(self.rest) >= length)
        answer, self.rest = self.rest[:length], self.rest[length:]
        if b"connection: close" in head:
            self.close()
        return int(head.split()[1]), answer

    def read(self, enough):
        while not enough():
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("the server hung up")
            self.rest += more
        return self.rest

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None


class Psql:
    """A session that prints one line a statement."""

    def __init__(self, s):
        self.child = subprocess.Popen([BIN / "psql", "-XqAt", "-v", "VERBOSITY=sqlstate", "-d", s.cluster.dsn()], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def execute(self, statement):
        self.child.stdin.write(statement + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().rstrip("\n")

    def close(self):
        self.child.communicate()


def counting(statement):
    return f"WITH done AS ({statement} RETURNING 1) SELECT count(*) FROM done;"


STATEMENTS = {
    "delete": counting(f"DELETE FROM runtime_catalog.runtime WHERE namespace_id = {ROOT} AND type = 'container' AND name = '%s'"),
    "register": counting(
        "INSERT INTO runtime_catalog.plugin (namespace_id, type, name, runtime_type, runtime_name)"
        f" VALUES ({ROOT}, 'secret', '%s', 'container', '%s') ON CONFLICT (namespace_id, type, name, version)"
        " DO UPDATE SET runtime_type = excluded.runtime_type, runtime_name = excluded.runtime_name"),
    "update": counting(
        f"UPDATE runtime_catalog.runtime SET cpu_nanos = 2 WHERE namespace_id = {ROOT} AND type = 'container' AND name = '%s'"),
}


class Actor:
    """One client: its share of each round, over the API or in psql."""

    def __init__(self, s, operation):
        self.operation, self.connection, self.psql = operation, Connection(s), Psql(s)

    def act(self, name, how):
        """What was said, and how; a word that is not there is what came instead."""
        if how == "psql":
            statement = STATEMENTS[self.operation]
            answer, text = self.psql.execute(statement % ((name,) * statement.count("%s"))), ""
        else:
            answer, text = self.over_the_api(name)
        word = SAYS[self.operation, how].get(answer, f"{answer} {text}")
        if word == "in use" and text and text != refusal(name):
            word = f"in use, but {text}"
        return how, word

    def over_the_api(self, name):
        status, body = self.connection.request(*{
            "delete": ("DELETE", CONTAINER + name, ""),
            "register": ("POST", f"{PLUGINS}/secret/{name}", json.dumps({"version": "", "sha256": "0" * 64, "command": "c", "runtime": name})),
            "update": ("POST", CONTAINER + name, '{"cpu_nanos": 2}')}[self.operation])
        return status, json.loads(body)["errors"][0] if body else ""

    def close(self):
        self.connection.close()
        self.psql.close()


def refusal(name):
    return f'unable to delete "{name}" runtime. Registered plugins=[{name}] are referencing it. The runtime is still in use.'


class Lane:
    """Rounds one after the other, the three clients of each let go at the same moment."""

    def __init__(self, s, number):
        self.names = [f"lane{number}-{i}" for i in range(BATCH)]
        self.actors = [Actor(s, operation) for operation in OPERATIONS]
        self.barrier = threading.Barrier(len(self.actors), timeout=60)
        self.random = random.Random(number)
        self.starts, self.ways, self.said = [], [], []

    def prepare(self):
        self.starts = [self.random.choice(STARTS) for _ in self.names]
        self.ways = [{operation: self.random.choice(["api", "api", "psql"]) for operation in OPERATIONS} for _ in self.names]
        self.said = [{} for _ in self.names]
        return zip(self.names, self.starts)

    def play(self, actor):
        try:
            for name, ways, said in zip(self.names, self.ways, self.said):
                self.barrier.wait()
                said[actor.operation] = actor.act(name, ways[actor.operation])
        except threading.BrokenBarrierError:
            pass # another one says why
        except (OSError, ssl.SSLError, ValueError, IndexError) as error:
            said[actor.operation] = ("broken", repr(error))
            self.barrier.abort()

    def close(self):
        for actor in self.actors:
            actor.close()


class Race:
    def __init__(self, s):
        self.s, self.lanes = s, [Lane(s, number) for number in range(LANES)]
        self.rounds, self.orphans = 0, 0
        self.unknown, self.unexplained = [], []
        self.counts = collections.Counter()

    def batch(self):
        starts = [pair for lane in self.lanes for pair in lane.prepare()]
        self.fill(starts)
        threads = [threading.Thread(target=lane.play, args=[actor]) for lane in self.lanes for actor in lane.actors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.judge()

    def fill(self, starts):
        def rows(names):
            return ", ".join(f"({ROOT}, '{name}')" for name in names)
        held = [name for name, (_, plugin) in starts if plugin]
        self.s.cluster.sql(
            "DELETE FROM runtime_catalog.plugin; DELETE FROM runtime_catalog.runtime;"
            " INSERT INTO runtime_catalog.runtime (namespace_id, type, name, cpu_nanos) SELECT id, 'container', name, 1"
            f" FROM (VALUES {rows(name for name, (cpu_nanos, _) in starts if cpu_nanos)}) AS wanted (id, name);"
            + (" INSERT INTO runtime_catalog.plugin (namespace_id, type, name, runtime_type, runtime_name)"
               f" SELECT id, 'secret', name, 'container', name FROM (VALUES {rows(held)}) AS wanted (id, name)" if held else ""))

    def judge(self):
        """Each round by what was said and by what the tables hold, which no later round touched."""
        runtimes = dict(line.split("|") for line in
                        self.s.cluster.sql("SELECT name, cpu_nanos FROM runtime_catalog.runtime").splitlines())
        plugins = dict(line.split("|") for line in
                       self.s.cluster.sql("SELECT name, runtime_name FROM runtime_catalog.plugin").splitlines())
        self.orphans += sum(runtime not in runtimes for runtime in plugins.values())
        for lane in self.lanes:
            for name, start, said in zip(lane.names, lane.starts, lane.said):
                end = (int(runtimes[name]) if name in runtimes else None, name in plugins)
                self.judge_round(name, start, end, said)

    def judge_round(self, name, start, end, said):
        self.rounds += 1
        strange = [(operation, how, word) for operation, (how, word) in said.items()
                   if word not in SAYS.get((operation, how), {}).values()]
        if strange or len(said) < len(OPERATIONS):
            self.unknown.append((name, strange or said))
        elif not explains(start, end, said):
            self.unexplained.append((name, start, said, end))
        for operation, (how, word) in said.items():
            self.counts[operation, how, word] += 1
        self.counts[start, tuple(said[operation][1] for operation in OPERATIONS if operation in said)] += 1

    def goes_on(self, seconds):
        return seconds < SOAK or self.rounds < ROUNDS and (SOAK or seconds < SECONDS)

    def went_wrong(self):
        return self.orphans or self.unknown or self.unexplained

    def close(self):
        for lane in self.lanes:
            lane.close()

    def report(self, seconds):
        print(f"# {self.rounds} rounds in {seconds:.0f} s")
        for operation, how in SAYS:
            words = ", ".join(f"{word} {self.counts[operation, how, word]}" for word in SAYS[operation, how].values())
            print(f"# {operation} by {how}: {words}")
        for start in dict.fromkeys(STARTS):
            endings = sorted((key[1], count) for key, count in self.counts.items() if key[0] == start)
            print(f"# {describe(start)}: " + "; ".join(f"{', '.join(words)} {count}" for words, count in endings))


def describe(start):
    return {(1, False): "a runtime", (None, False): "nothing", (1, True): "a runtime and its plugin"}[start]


def served(s, name):
    return sum("request_id=" in line for line in lines_of(s.folder / f"worker-{name}.log"))


with stack(plan=8, site="stand-alone", worker=UNCACHED) as s:
    s.stop_worker()
    with s.listen_for_workers() as listener:
        workers = {name: s.start_sharing(listener, name) for name in ("1", "2")}
        wait_for(lambda: s.request("GET", CONTAINER + "none").status == 404, 20, "a worker answers")
        race = Race(s)
        started = time.monotonic()
        while not race.went_wrong() and race.goes_on(time.monotonic() - started):
            race.batch()
        race.report(time.monotonic() - started)
        race.close()

        s.tap.equal(race.orphans, 0, "no plugin is ever without its runtime")
        s.tap.ok(not race.unknown, "each says what it may say, and a refusal names the plugin", *race.unknown[:5])
        s.tap.ok(not race.unexplained, "each round ends as if the three had been one after the other", *race.unexplained[:5])
        fewest = ROUNDS if SOAK else FEWEST
        s.tap.ok(race.rounds >= fewest, f"at least {fewest} rounds were run", race.rounds)
        never = [f"{operation} by {how}: {word}" for operation, how in SAYS for word in SAYS[operation, how].values()
                 if not race.counts[operation, how, word]]
        s.tap.ok(not never, "each of them was said", *never)
        one_sided = [words for words in (("deleted", "no runtime"), ("in use", "registered"))
                     if not any(key[0] == (1, False) and key[1][:2] == words for key in race.counts)]
        s.tap.ok(not one_sided, "the delete was first, and the registration was first", *one_sided)
        s.tap.ok(all(served(s, name) for name in workers), "both workers had a part in it")
        statuses = [stop(worker, 15) for worker in workers.values()]
        s.tap.equal(statuses, [0, 0], "and stop in order")
    (s.folder / "worker.sock").unlink()
    s.configure_worker(**UNCACHED)
    s.start_worker()
