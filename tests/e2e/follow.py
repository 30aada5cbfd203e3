#!/usr/bin/python3
"""follow_changes(), by which workers hear what changed: each change once, when its transaction commits,
in whatever order transactions begin and end."""
import random
import sys
import threading

sys.path.append(sys.path[0] + "/../lib")
from harness import database  # noqa: E402
from tap import Tap  # noqa: E402

WRITERS, TRANSACTIONS = 6, 60
UPSERT = ("INSERT INTO runtime_catalog.runtime (namespace_id, type, name) SELECT id, 'container', '%s'"
          " FROM runtime_catalog.namespace WHERE path = '' ON CONFLICT (namespace_id, type, name)"
          " DO UPDATE SET updated_at = clock_timestamp();\n")
POLL = ("SELECT pg_current_snapshot(), NULL, NULL, NULL UNION ALL"
        " SELECT NULL, table_name, key, id FROM runtime_catalog.follow_changes('%s')")


class Follower:
    """Polls as a worker does, with a worker's rights."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.since = cluster.sql("SELECT pg_current_snapshot()")

    def poll(self):
        """[(table, key, id)] of what became visible."""
        head, *rows = self.cluster.sql(POLL % self.since, role="runtime_catalog_worker").splitlines()
        self.since = head.split("|")[0]
        return [tuple(row.split("|")[1:]) for row in rows]

    def names(self):
        """What the keys of runtimes name, sorted; of others the table."""
        return sorted(key.split('"name": "')[1].split('"')[0] if '"name"' in key else table for table, key, _ in self.poll())


class Session:
    """A psql in which a transaction can stay open."""

    def __init__(self, cluster):
        self.psql = cluster.session()

    def run(self, *statements):
        self.psql.stdin.write("".join(statements) + "SELECT 'done';\n")
        self.psql.stdin.flush()
        while self.psql.stdout.readline().strip() != "done":
            pass

    def close(self):
        self.psql.communicate("")


def check_one_by_one(tap, cluster):
    follower = Follower(cluster)
    one, two = Session(cluster), Session(cluster)

    def seen(name, *expected):
        tap.equal(follower.names(), sorted(expected), name)

    seen("nothing changed")
    one.run(UPSERT % "a")
    seen("a change is seen", "a")
    seen("once")
    one.run("BEGIN;", UPSERT % "late")
    seen("what is not committed is not seen")
    two.run(UPSERT % "quick")
    seen("what another transaction commits meanwhile is", "quick")
    two.run("BEGIN;", UPSERT % "later")
    seen("one more begins")
    one.run("COMMIT;")
    seen("a late commit is seen when it happens", "late")
    for _ in range(3):
        one.run(UPSERT % "many")
        seen("an open transaction hides nothing and repeats nothing", "many")
    two.run("COMMIT;")
    seen("nor is it missed in the end", "later")
    one.run("BEGIN;", UPSERT % "undone", "ROLLBACK;")
    seen("what was rolled back is never seen")
    one.run("BEGIN; SAVEPOINT a;", UPSERT % "kept", "RELEASE a; SAVEPOINT b;", UPSERT % "dropped", "ROLLBACK TO b;")
    two.run(UPSERT % "meanwhile")
    seen("a savepoint is not seen before its transaction", "meanwhile")
    one.run("COMMIT;")
    seen("and then what was released of it", "kept")
    one.run("BEGIN;", UPSERT % "prepared", "PREPARE TRANSACTION 'p';")
    two.run(UPSERT % "unprepared")
    seen("a prepared transaction is not seen", "unprepared")
    one.run("COMMIT PREPARED 'p';")
    seen("until it is committed", "prepared")
    one.run("SET client_min_messages = warning; TRUNCATE runtime_catalog.runtime CASCADE;")
    tap.equal(sorted(row[:2] for row in follower.poll()), [("plugin", ""), ("runtime", "")], "TRUNCATE names tables and no key")
    one.run("SELECT runtime_catalog.forget();")
    tap.equal([row[:2] for row in follower.poll()], [("change", "")], "so does forget()")
    for session in (one, two):
        session.close()


ONE_BY_ONE = 18


def check_many(tap, cluster):
    """Each change once, under writers that commit late or not at all."""
    follower = Follower(cluster)
    last = int(cluster.sql("SELECT max(id) FROM runtime_catalog.change"))
    seen = []

    def write(number):
        chance = random.Random(number)
        session = Session(cluster)
        for turn in range(TRANSACTIONS):
            session.run("BEGIN;", UPSERT % f"w{number}")
            session.run("SAVEPOINT s;", UPSERT % f"w{number}-{turn}", chance.choice(["", "ROLLBACK TO s;"]))
            session.run(chance.choice(["COMMIT;", "COMMIT;", "ROLLBACK;"]))
        session.close()

    writers = [threading.Thread(target=write, args=[number]) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        seen += [int(row[2]) for row in follower.poll()]
    seen += [int(row[2]) for row in follower.poll()]
    there = cluster.sql(f"SELECT id FROM runtime_catalog.change WHERE id > {last} ORDER BY id")
    tap.equal(sorted(seen), [int(number) for number in there.split()],
              f"{len(seen)} changes of {WRITERS} writers: none missed, none twice")


def check_bounds(tap, cluster):
    follower = Follower(cluster)
    insert = ("INSERT INTO runtime_catalog.change (table_name, operation, namespace_id, key)"
              " SELECT 'runtime', 'update', 1, '{\"type\": \"container\", \"name\": \"x\"}' FROM generate_series(1, %d)")
    cluster.sql(insert % 10000)
    tap.equal(len(follower.poll()), 10000, "10,000 changes are named")
    cluster.sql(insert % 30000)
    tap.equal(len(follower.poll()), 10001, "of more, one more than that")
    tap.equal(follower.poll(), [], "and then they are done with")

    scans = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'change'"
    before = cluster.sql(scans)
    for _ in range(8): # beyond the point where PostgreSQL plans anew for each call
        cluster.sql(UPSERT % "x")
        follower.poll()
    tap.equal(cluster.sql(scans), before, "the table is never read as a whole")
    tap.equal(cluster.sql("SELECT count(*) FROM runtime_catalog.follow_changes(NULL)", role="runtime_catalog_worker"), "0",
              "who never asked before hears of nothing")


with database() as cluster:
    tap = Tap(ONE_BY_ONE + 1 + 5)
    cluster.stop()
    with open(cluster.data / "postgresql.conf", "a", encoding="utf-8") as file:
        file.write("max_prepared_transactions = 4\n")
    cluster.start()
    check_one_by_one(tap, cluster)
    check_many(tap, cluster)
    check_bounds(tap, cluster)
sys.exit(tap.exit_status())
