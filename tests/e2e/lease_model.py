#!/usr/bin/python3
"""Every answer was true at some moment no earlier than max_staleness before the request reached the
worker, and no earlier than what the same worker has acknowledged; that something is not there, or not
allowed, was true while it was asked.

Two workers and psql write at random, some transactions staying open across several polls; tokens end,
by hand, with their parent or by the clock, policies change, tables are emptied, workers are suspended,
PostgreSQL is restarted, killed, suspended, replaced by its standby, and its answers come late. Each
read is noted, and judged when a round is over, against what could be true when (lib/history.py).

RUNTIME_CATALOG_SEED=number repeats the choices of an earlier run, though not its timing. The long form of
./dev soak goes on with rounds for the seconds given.
"""
import collections
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.append(sys.path[0] + "/../lib")
from cluster import BIN  # noqa: E402
from harness import BAD_TOKEN, CATALOG, CONTAINER, NOT_ALLOWED, SOAK, stack  # noqa: E402
from history import History, last_moment  # noqa: E402
from processes import wait_for  # noqa: E402
from relay import Relay  # noqa: E402
from worker import Beside, ask, ask_all  # noqa: E402

SEED = int(os.environ.get("RUNTIME_CATALOG_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
STALENESS = {"a": 0.2, "b": 0.05} # of each worker, in seconds
RUNTIMES = [f"m{number}" for number in range(6)]
LINES = range(3) # a token that is used, its parent, and a policy for the former
READERS, WRITERS, SECONDS = 3, 4, 3.5 # for each worker; in all; of a round
PATIENCE = 90 # seconds; the first rounds take ten
CLOCKS = 0.02 # seconds by which two clocks of one machine may drift apart until a token ends
ALLOWED = 'path "sys/plugins/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] } # %d'
FROM_MEMORY = ("read", "list", "unchanged") # kinds of answers that may be
KINDS = (*FROM_MEMORY, "absent", "refused", "denied")
DENIED = 'path "sys/plugins/*" { capabilities = ["deny"] } # %d'

UPSERT = ("INSERT INTO runtime_catalog.runtime (namespace_id, type, name, cpu_nanos) VALUES (1, 'container', '%s', %d)"
          " ON CONFLICT (namespace_id, type, name) DO UPDATE SET cpu_nanos = excluded.cpu_nanos")
DELETE = "DELETE FROM runtime_catalog.runtime WHERE namespace_id = 1 AND name = '%s'"
SET_POLICY = ("INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1, '%s', '%s')"
              " ON CONFLICT (namespace_id, name) DO UPDATE SET text = excluded.text")
DELETE_POLICY = "DELETE FROM runtime_catalog.policy WHERE namespace_id = 1 AND name = '%s'"
NAME_LINE = "UPDATE runtime_catalog.token SET display_name = 'line-{}' WHERE accessor IN ('{}', '{}')"
SAVE_TOKENS = "CREATE TABLE saved AS SELECT * FROM runtime_catalog.token"
# A transaction's first half, the moment at which it ends being chosen; what was revoked comes back.
RESTORE = ("DELETE FROM runtime_catalog.token WHERE display_name = 'line-{0}';"
           " INSERT INTO runtime_catalog.token SELECT * FROM saved WHERE display_name = 'line-{0}'")
END_LINE = ["DELETE FROM runtime_catalog.token WHERE display_name = 'line-{0}' AND parent IS NULL",
            "DELETE FROM runtime_catalog.token WHERE display_name = 'line-{0}' AND parent IS NOT NULL",
            "UPDATE runtime_catalog.token SET expires_at = now() WHERE display_name = 'line-{0}' AND parent IS NULL"]
EXPIRE = ("UPDATE runtime_catalog.token SET expires_at = clock_timestamp() + '{1} s' WHERE display_name = 'line-{0}' AND parent IS NULL"
          " RETURNING extract(epoch FROM expires_at)")
CROWD = ("INSERT INTO runtime_catalog.change (table_name, operation, namespace_id, key)"
         " SELECT 'policy', 'update', 1, '{\"name\": \"x\"}' FROM generate_series(1, %d)")
FORGETS = ["SELECT runtime_catalog.forget()", "DELETE FROM runtime_catalog.change WHERE id = (SELECT min(id) FROM runtime_catalog.change)",
          CROWD % 9000, CROWD % 12000]
END_BACKENDS = ("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'runtime_catalog_worker' AND (random() < 0.5 OR query LIKE '%follow_changes%')")


def now():
    """The clock by which leases end."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def late(dice, is_poll):
    """Most answers come at once, some after others could do much meanwhile."""
    chance = dice.random()
    if is_poll:
        return dice.uniform(0.05, 0.6) if chance < 0.04 else dice.uniform(0, 0.03) if chance < 0.3 else 0
    return dice.uniform(0, 0.08) if chance < 0.1 else 0


class Lost(Exception):
    """The database did not say what became of it."""


class Session:
    """A psql in which a transaction can stay open; a new one when it was lost."""

    def __init__(self, world):
        self.world, self.psql = world, None

    def run(self, *statements):
        """What they print, line by line."""
        if not self.psql:
            self.psql = subprocess.Popen([BIN / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.world.primary.dsn()], text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        lines = []
        with contextlib.suppress(OSError):
            self.psql.stdin.write("".join(f"{statement};\n" for statement in statements) + "\\echo done\n")
            self.psql.stdin.flush()
            while line := self.psql.stdout.readline():
                if line == "done\n":
                    return lines
                lines.append(line.rstrip("\n"))
        self.close()
        raise Lost

    def close(self):
        if self.psql:
            self.psql.kill()
            self.psql.communicate()
            self.psql = None


class World:
    """What there is, and what is known of it."""

    def __init__(self, s):
        self.s, self.primary, self.standby = s, s.cluster, None
        self.folders = [s.folder, s.folder / "second"] # of the primary and its standby, whichever is which
        self.relay = Relay({s.folder / f"relay-{number}/.s.PGSQL.5432": str(folder / ".s.PGSQL.5432")
                            for number, folder in enumerate(self.folders)}, late, SEED)
        self.numbers = iter(range(1, 10**9))
        self.histories = {("runtime", name): History(None) for name in RUNTIMES}
        self.workers = {name: Beside(s, name, f'max_staleness = "{seconds * 1000:.0f}ms"', self.by_relay)
                        for name, seconds in STALENESS.items()}
        self.tokens = [self.make_line(number) for number in LINES]
        self.locks = {thing: threading.Lock() for thing in self.histories} # one writer at a time
        self.primary.sql(SAVE_TOKENS)
        self.faults, self.written, self.deeds = [], 0, [] # the last: since when, until when, what

    def make_line(self, number):
        """(parent's accessor, child's accessor, the child)"""
        text = ALLOWED % next(self.numbers)
        self.primary.sql(SET_POLICY % (f"p{number}", text))
        parent = self.issue(None, policies=["root"], no_parent=True)
        child = self.issue(parent["client_token"], policies=[f"p{number}"], no_default_policy=True)
        self.primary.sql(NAME_LINE.format(number, parent["accessor"], child["accessor"]))
        self.histories["line", number], self.histories["policy", number] = History(True), History(text)
        return parent["accessor"], child["accessor"], child["client_token"]

    def issue(self, token, **body):
        return self.workers["a"].ask("POST", "/v1/auth/token/create", body, token)[1]["auth"]

    def by_relay(self, text):
        """The worker's configuration, with both servers."""
        hosts = ",".join(str(path.parent) for path in self.relay.routes)
        return text.replace(self.s.cluster.dsn("runtime_catalog_worker"),
                            f"host={hosts} dbname=runtime_catalog user=runtime_catalog_worker target_session_attrs=read-write")

    def truth(self, thing, session):
        """What the database says of it, when nobody is changing it any more."""
        kind, which = thing
        if kind == "line":
            return len(session.run("SELECT accessor FROM runtime_catalog.token WHERE display_name = 'line-%d'"
                                   " AND (expires_at IS NULL OR expires_at > clock_timestamp()) FOR UPDATE" % which)) == 2
        if kind == "policy":
            return (session.run(f"SELECT text FROM runtime_catalog.policy WHERE namespace_id = 1 AND name = 'p{which}' FOR UPDATE") or [None])[0]
        row = session.run(f"SELECT cpu_nanos FROM runtime_catalog.runtime WHERE namespace_id = 1 AND name = '{which}' FOR UPDATE")
        return int(row[0]) if row else None

    def settle(self, thing, wanted, sent, session):
        """Something was to become so, and nobody said whether it did."""
        def look():
            with contextlib.suppress(Lost):
                return [self.truth(thing, session)]
        [state] = wait_for(look, 60, f"the database says what became of {thing}")
        if state == wanted:
            self.histories[thing].add(wanted, sent, now())
        elif state != self.histories[thing].state:
            self.faults.append(f"{thing}: {state!r} is neither {wanted!r} nor {self.histories[thing].state!r}")

    @contextlib.contextmanager
    def change(self, wanted, session, *things, by=None):
        """Around the one call that makes things so, which have to be locked."""
        sent = now()
        try:
            yield
            for thing in things:
                self.histories[thing].add(wanted, sent, now(), by)
        except Lost:
            for thing in things:
                self.settle(thing, wanted, sent, session)


class Client:
    """One of many, until a round is over."""

    def __init__(self, world, over, name):
        self.world, self.over, self.name, self.dice = world, over, name, random.Random(f"{SEED} {name}")
        self.session, self.failed = Session(world), None
        self.connections = {name: worker.connect() for name, worker in world.workers.items()}

    def run(self):
        try:
            while not self.over.is_set():
                self.step()
        except Exception as error: # pylint: disable=broad-except
            self.failed = error
        self.session.close()
        for connection in self.connections.values():
            connection.close()

    def ask(self, worker, method, path, token=None, body=None):
        return ask(self.connections[worker], method, path, token or self.world.s.root_token, body)

    def pause(self, longest):
        self.over.wait(self.dice.uniform(0, longest))


class Reader(Client):
    def __init__(self, world, over, name, worker):
        super().__init__(world, over, name)
        self.worker, self.reads, self.last = worker, [], {} # by path: the tag of an answer, and what it said

    def step(self):
        line = self.dice.choice([None, *LINES])
        name = self.dice.choice([None, *RUNTIMES])
        token = None if line is None else self.world.tokens[line][2]
        path = CONTAINER + name if name else CATALOG + self.dice.choice(["", "?type=container"])
        last = self.last.get(path) if self.dice.random() < 0.3 else None
        asked = now()
        status, headers, body = ask_all(self.connections[self.worker], "GET", path, token or self.world.s.root_token,
                                        **{"HTTP_IF_NONE_MATCH": last[0]} if last else {})
        if status == 200:
            self.last[path] = headers["ETag"], body
        elif status == 304: # it is as it was said to be
            body = last[1]
        self.reads.append((self.worker, asked, now(), line, name, status, body))
        if status == 503:
            self.pause(0.05)


class Writer(Client):
    def step(self):
        kinds = ["runtime"] if self.dice.random() < 0.7 else ["line", "policy"]
        thing = self.dice.choice([thing for thing in self.world.locks if thing[0] in kinds])
        if self.world.locks[thing].acquire(blocking=False):
            try:
                self.write(thing)
                if not is_there(self.world.histories[thing].state): # nor does it stay away for long
                    self.pause(0.3)
                    self.write(thing)
            finally:
                self.world.locks[thing].release()
        self.pause(0.03)

    def write(self, thing):
        getattr(self, "write_" + thing[0])(thing, self.world.histories[thing].state)

    def by_worker(self, thing, wanted, method, path, body=None):
        worker = self.dice.choice(list(STALENESS))
        with self.world.change(wanted, self.session, thing, by=worker):
            self.world.written += 1
            status, answer = self.ask(worker, method, path, body=body)
            if status == 503:
                raise Lost
            if status != 204:
                raise RuntimeError(f"{method} {path} {body}: {status} {answer}")

    def by_psql(self, thing, wanted, statement):
        """At once, or in a transaction that stays open, or is rolled back, in part or as a whole."""
        chance, undone = self.dice.random(), UPSERT % ("undone", 1)
        if chance < 0.4:
            with self.world.change(wanted, self.session, thing):
                self.session.run(statement)
            return
        with contextlib.suppress(Lost):
            self.session.run("BEGIN", *(["SAVEPOINT s", undone, "ROLLBACK TO s"] if chance < 0.6 else []), statement)
            self.pause(0.6)
            if chance < 0.9:
                with self.world.change(wanted, self.session, thing):
                    self.session.run("COMMIT")
            else:
                self.session.run("ROLLBACK")

    def write_runtime(self, thing, state):
        name, number, deletes = thing[1], next(self.world.numbers), state is not None and self.dice.random() < 0.2
        if self.dice.random() < 0.5:
            self.by_worker(thing, *(None, "DELETE") if deletes else (number, "PUT"), CONTAINER + name, None if deletes else {"cpu_nanos": number})
        else:
            self.by_psql(thing, None if deletes else number, DELETE % name if deletes else UPSERT % (name, number))

    def write_policy(self, thing, state):
        name, text = f"p{thing[1]}", (ALLOWED if not allows(state) or self.dice.random() < 0.3 else DENIED) % next(self.world.numbers)
        deletes = state is not None and self.dice.random() < 0.2
        if self.dice.random() < 0.5:
            self.by_worker(thing, None if deletes else text, "DELETE" if deletes else "PUT", "/v1/sys/policies/acl/" + name,
                           None if deletes else {"policy": text})
        else:
            self.by_psql(thing, None if deletes else text, DELETE_POLICY % name if deletes else SET_POLICY % (name, text))

    def write_line(self, thing, is_live):
        number, chance = thing[1], self.dice.random()
        parent, child, token = self.world.tokens[number]
        if not is_live:
            self.by_psql(thing, True, RESTORE.format(number))
        elif chance < 0.4:
            how, body = self.dice.choice([("revoke-accessor", {"accessor": parent}), ("revoke-accessor", {"accessor": child}),
                                          ("revoke", {"token": token})])
            self.by_worker(thing, False, "PUT", "/v1/auth/token/" + how, body)
        elif chance < 0.8:
            self.by_psql(thing, False, self.dice.choice(END_LINE).format(number))
        else:
            self.let_expire(thing)

    def let_expire(self, thing):
        """By the database's clock, which is this machine's."""
        sent = now()
        try:
            [expiry] = self.session.run(EXPIRE.format(thing[1], self.dice.uniform(0, 0.3)))
        except Lost:
            # Whether it was to expire is not known; from now on it does not.
            wait_for(lambda: self.give_up(thing), 60, f"{thing} is over")
            self.world.histories[thing].add(False, sent, now())
            return
        before, left, after = now(), float(expiry) - time.time(), now()
        earliest, latest = max(sent, before + left - CLOCKS), max(after, after + left + CLOCKS)
        time.sleep(max(0, latest - now()))
        self.world.histories[thing].add(False, earliest, latest)

    def give_up(self, thing):
        with contextlib.suppress(Lost):
            return self.session.run(END_LINE[0].format(thing[1])) == []


def allows(policy):
    return policy is not None and "deny" not in policy


def is_there(state):
    return allows(state) if isinstance(state, str) else bool(state)


class Chaos(Client):
    """What happens beside reads and writes, of which nothing is left when it has ended. For the main
    thread: a server ends with the thread that started it."""

    def __init__(self, world, over, name, deeds, first):
        super().__init__(world, over, name)
        self.deeds, self.first = deeds, [self.dice.choice(CALM), *first]

    def step(self):
        self.pause(0.4)
        if not self.over.is_set():
            deed, begun = self.first.pop(0) if self.first else self.dice.choice(self.deeds), now()
            deed(self)
            self.world.deeds.append((begun, now(), deed.__name__))

    def suspend_worker(self):
        child = self.dice.choice(list(self.world.workers.values())).child
        child.send_signal(signal.SIGSTOP)
        self.pause(0.8)
        child.send_signal(signal.SIGCONT)

    def empty(self):
        things = [thing for thing in self.world.locks if thing[0] == "runtime"]
        with contextlib.ExitStack() as stack:
            for thing in things:
                stack.enter_context(self.world.locks[thing])
            with self.world.change(None, self.session, *things):
                self.session.run("SET client_min_messages = warning", "TRUNCATE runtime_catalog.runtime CASCADE")
            self.pause(0.1)
            for thing in things:
                number = next(self.world.numbers)
                with self.world.change(number, self.session, thing):
                    self.session.run(UPSERT % (thing[1], number))

    def forget(self):
        with contextlib.suppress(Lost):
            self.session.run(self.dice.choice(FORGETS))

    def end_backends(self):
        with contextlib.suppress(Lost):
            self.session.run(END_BACKENDS)

    def suspend_server(self):
        resume = self.world.primary.suspend()
        self.pause(0.5)
        resume()

    def restart_server(self):
        self.dice.choice([self.world.primary.stop, self.world.primary.kill])()
        self.world.primary.start()

    def fail_over(self):
        self.world.primary.kill()
        self.world.primary = self.world.standby
        self.world.primary.promote()
        self.world.primary.wait_for_none()


CALM = [Chaos.suspend_worker, Chaos.suspend_worker, Chaos.empty, Chaos.forget]
STORM = [*CALM, Chaos.end_backends, Chaos.suspend_server, Chaos.restart_server]
ROUNDS = {"calm": (CALM, []), "storm": (STORM, []), "replaced": (CALM, [Chaos.fail_over])} # what happens, and what is sure to


def add_standby(world):
    """From now on nothing is acknowledged, nor seen, that the standby does not show."""
    folder = next(folder for folder in world.folders if folder != world.primary.socket)
    world.primary.sql("ALTER SYSTEM SET synchronous_commit = remote_apply")
    world.standby = world.primary.standby(folder, "standby")
    world.primary.wait_for_standby("standby")


def run_round(world, name):
    """All clients, for a while. Returns what was read."""
    if name == "replaced":
        add_standby(world)
    over, names = threading.Event(), iter(range(100))
    turn = f"{name} {next(world.numbers)}"
    clients = [Reader(world, over, f"{turn} {next(names)}", worker) for worker in world.workers for _ in range(READERS)]
    clients += [Writer(world, over, f"{turn} {next(names)}") for _ in range(WRITERS)]
    threads = [threading.Thread(target=client.run) for client in clients]
    clients.append(Chaos(world, over, f"{turn} chaos", *ROUNDS[name]))
    end = threading.Timer(SECONDS, over.set)
    for thread in (*threads, end):
        thread.start()
    clients[-1].run()
    over.wait() # should that have failed
    for thread in (*threads, end):
        thread.join()
    world.faults += [f"{client.name}: {client.failed!r}" for client in clients if client.failed]
    return [read for client in clients if isinstance(client, Reader) for read in client.reads]


class Judge:
    """Of all that was read."""

    def __init__(self, world):
        self.world, self.violations, self.kinds = world, [], collections.Counter()
        self.oldest = dict.fromkeys(STALENESS, 0.0)

    def conditions(self, line, name, status, body):
        """(what kind of answer it is, what had to be so for it; None: it says nothing)."""
        histories, errors = self.world.histories, body.get("errors")
        held = [] if line is None else [(histories["line", line], bool)]
        allowed = [] if line is None else [(histories["policy", line], allows)]
        if status in (200, 304) and name:
            value = body["data"]["cpu_nanos"]
            return "read" if status == 200 else "unchanged", [*held, *allowed, (histories["runtime", name], lambda state: state == value)]
        if status in (200, 304):
            there = {runtime["name"]: runtime["cpu_nanos"] for runtime in body["data"]["runtimes"]}
            listed = [(histories["runtime", one], lambda state, one=one: state == there.get(one)) for one in RUNTIMES]
            return "list" if status == 200 else "unchanged", [*held, *allowed, *listed]
        if status == 404 and name:
            return "absent", [*held, *allowed, (histories["runtime", name], lambda state: state is None)]
        if (status, errors) == (403, [BAD_TOKEN]) and held:
            return "refused", [(histories["line", line], lambda state: not state)]
        if (status, errors) == (403, [NOT_ALLOWED]) and allowed:
            return "denied", [*held, (histories["policy", line], lambda state: not allows(state))]
        return ("away" if status == 503 else f"{status} {errors}"), None

    def judge(self, read):
        worker, asked, answered, *answer = read
        kind, conditions = self.conditions(*answer)
        self.kinds[kind] += 1
        if conditions is None:
            return
        oldest = asked - STALENESS[worker] if kind in FROM_MEMORY else asked
        last = last_moment(conditions, worker, asked, oldest, answered)
        if last is None:
            self.violations.append(self.explain(kind, conditions, read))
        else:
            self.oldest[worker] = max(self.oldest[worker], asked - last)

    def explain(self, kind, conditions, read):
        """By how much it was too old, if that is what it was."""
        worker, asked, answered, line, name, status, _ = read
        last = last_moment(conditions, worker, asked, asked - 60, answered)
        told = "was never true together" if last is None else f"was last true {(asked - last) * 1000:.1f} ms before it was asked"
        each = [last_moment([condition], worker, asked, asked - 60, answered) for condition in conditions]
        near = [f"{name} {asked - begun:.3f} to {asked - ended:.3f} s before" for begun, ended, name in self.world.deeds
                if begun < answered and ended > asked - 1]
        return (f"{worker}: {kind} of {name or 'all'} by line {line} ({status}, {(answered - asked) * 1000:.1f} ms) {told}; each of its parts: "
                + ", ".join("never" if one is None else f"{(asked - one) * 1000:.1f}" for one in each) + f"; {near}")

    def saw_enough(self):
        return all(self.kinds[kind] > 20 for kind in KINDS) and all(self.oldest.values())

    def end_round(self, reads):
        for read in reads:
            self.judge(read)
        for history in self.world.histories.values():
            history.forget()
        time.sleep(2 * max(STALENESS.values())) # what was true before then is remembered by nobody


def play(world, judge):
    """Each round once, and more for as long as ./dev soak says, or until everything was seen that is to be seen."""
    begun, dice = time.monotonic(), random.Random(SEED)
    names = [*ROUNDS, *dice.choices([*ROUNDS], k=10 ** 5)]
    for turn, name in enumerate(names):
        spent = time.monotonic() - begun
        if judge.violations or turn >= len(ROUNDS) and spent > (SOAK or (0 if judge.saw_enough() else PATIENCE)):
            break
        judge.end_round(run_round(world, name))


def main():
    with stack(plan=7) as s:
        print(f"# RUNTIME_CATALOG_SEED={SEED}")
        s.expect("worker", "STORAGE_AWAY", "storage is (not available|read-only)")
        s.expect("postgresql", "terminating (connection|walreceiver|background|autovacuum)", "canceling authentication", "the database system is",
                 "could not (connect|receive|send)", "connection to client lost")
        world = World(s)
        judge = Judge(world)
        play(world, judge)
        reads = sum(judge.kinds.values()) - judge.kinds["away"]
        remembered = reads + world.written - world.relay.statements
        can_be = sum(judge.kinds[kind] for kind in FROM_MEMORY)
        print(f"# {reads} reads checked, {len(judge.violations)} violations; {remembered} or more of {can_be} answered from memory;"
              f" {world.written} writes by workers")
        print("# greatest staleness seen: "
              + ", ".join(f"{judge.oldest[name] * 1000:.1f} ms of {most * 1000:.0f} ms" for name, most in STALENESS.items()))
        print(f"# {dict(judge.kinds)}")
        s.tap.equal(judge.violations[:20], [], f"no answer was older than it may be, of {reads}")
        s.tap.equal(world.faults[:20], [], "nothing went wrong with the changes either")
        s.tap.ok({*judge.kinds} <= {*KINDS, "away"}, "every answer is one of those that there should be", judge.kinds)
        s.tap.ok(judge.saw_enough(), "each of them came, and some that was old from every worker", judge.kinds, judge.oldest)
        s.tap.ok(remembered > can_be / 10, "a fair share of those that may come from memory did", remembered, can_be)
        s.tap.ok(world.standby, "a standby took over")
        s.tap.equal([worker.stop() for worker in world.workers.values()], [0, 0], "the workers stop in order")
        s.configure_worker()
        if world.primary is not s.cluster:
            world.primary.stop()
        world.relay.stop()


main()
