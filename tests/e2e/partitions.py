#!/usr/bin/python3
"""sql/queries/retention.sql and partition*.sql, each as it is written, while the API writes; then the
whole chain on the partitioned table: its triggers, grants, numbers, comments and indexes are as before."""
import os
import subprocess
import sys
import threading

sys.path.append(sys.path[0] + "/../lib")
from cluster import BIN  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from processes import wait_for  # noqa: E402

OLD = 25000 # rows, so that there are several batches
INSERT_OLD = f"""
INSERT INTO runtime_catalog.change (changed_at, table_name, operation, namespace_id)
SELECT now() - interval '%s days', 'old', 'insert', 1 FROM generate_series(1, {OLD})"""

# What \d shows of change, but for its key, which has the time in it when it is partitioned.
COLUMNS = """
SELECT string_agg(concat_ws(' ', attname, format_type(atttypid, atttypmod), attidentity, attnotnull, attcollation::regcollation,
                            pg_get_expr(adbin, adrelid), col_description(attrelid, attnum)), E'\\n' ORDER BY attnum)
  FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
 WHERE attrelid = 'runtime_catalog.change'::regclass AND attnum > 0"""
SHAPE = [
    ("columns, with their comments", COLUMNS),
    ("comment", "SELECT obj_description('runtime_catalog.change'::regclass, 'pg_class')"),
    ("owner and grants", "SELECT relowner::regrole, relacl FROM pg_class WHERE oid = 'runtime_catalog.change'::regclass"),
    ("triggers", "SELECT tgname, tgtype, tgenabled, tgfoid::regproc FROM pg_trigger WHERE tgrelid = 'runtime_catalog.change'::regclass"),
    ("indexes", "SELECT replace(indexdef, 'ON ONLY', 'ON') FROM pg_indexes"
                " WHERE indexname IN ('change_xid_idx', 'change_namespace_idx') ORDER BY indexname"),
]
FORGETS = "SELECT count(*) FROM runtime_catalog.change WHERE operation = 'forget' AND id > %d"


class Writers:
    """Threads that register runtimes over the API until the with block ends; each answer that is
    not 204 is a failure."""

    def __init__(self, s):
        self.s = s
        self.failures, self.written, self.stopping = [], 0, False
        self.threads = [threading.Thread(target=self.write, args=(number,)) for number in range(2)]

    def write(self, number):
        while not self.stopping:
            answer = self.s.request("POST", f"{CONTAINER}written-{number}", {"cpu_nanos": self.written})
            self.written += 1
            if answer.status != 204:
                self.failures.append(str(answer))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join()


def run(s, name, edit=lambda text: text):
    """A file as psql runs it, in a time zone that is not UTC, while the API writes."""
    before = int(s.cluster.sql("SELECT max(id) FROM runtime_catalog.change"))
    file = s.folder / name
    file.write_text(edit((s.folder / "sql/queries" / name).read_text()))
    with Writers(s) as writers:
        done = subprocess.run([BIN / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", s.cluster.dsn(), "-f", file],
                              capture_output=True, text=True, check=False, env=os.environ | {"PGTZ": "Europe/Berlin"})
        wait_for(lambda: writers.written >= 10 or writers.failures, 20, "there are writes")
    s.tap.equal((done.returncode, done.stdout, done.stderr), (0, "", ""), f"{name} runs as it is written, and is silent")
    s.tap.equal(writers.failures, [], f"{name}: each of the writes meanwhile is 204")
    return before


def count(s, condition):
    return int(s.cluster.sql(f"SELECT count(*) FROM runtime_catalog.change WHERE {condition}"))


def partitions(s):
    return dict(line.split("|") for line in s.cluster.sql(
        "SET timezone = 'UTC'; SELECT relname, pg_get_expr(relpartbound, oid) FROM pg_class"
        " WHERE relispartition AND relkind = 'r' ORDER BY relname").splitlines())


def flow(s, name):
    """What the catalog does, on whatever change is now."""
    last, snapshot = s.cluster.sql("SELECT max(id), pg_current_snapshot() FROM runtime_catalog.change").split("|")
    s.answer(f"{name}: a registration", s.request("POST", CONTAINER + "flow", {"cpu_nanos": 1}), 204)
    s.answer(f"{name}: a read", s.request("GET", CONTAINER + "flow"), 200)
    s.answer(f"{name}: a list", s.request("LIST", CATALOG), 200)
    s.answer(f"{name}: a removal", s.request("DELETE", CONTAINER + "flow"), 204)
    s.tap.equal(s.cluster.sql(f"SELECT table_name, operation FROM runtime_catalog.change WHERE id > {last} ORDER BY id"),
                "runtime|insert\nruntime|delete", f"{name}: leave their rows, whose numbers go on")
    s.tap.equal(s.cluster.sql(f"SELECT table_name, key ->> 'name' FROM runtime_catalog.follow_changes('{snapshot}') ORDER BY id",
                              role="runtime_catalog_worker"), "runtime|flow\nruntime|flow", f"{name}: which workers are told of")
    s.tap.ok("runtime flow" in s.tool("history", "-limit=2").stdout.replace("container/", ""), f"{name}: and people")
    done = subprocess.run([s.folder / "bin/runtime-catalogd", "-t", "-c", s.folder / "worker.conf"], text=True,
                          capture_output=True, check=False)
    s.tap.equal(done.returncode, 0, f"{name}: runtime-catalogd -t finds nothing wrong")
    s.cluster.sql("DELETE FROM runtime_catalog.change WHERE table_name = 'none'")
    s.tap.equal(s.cluster.sql(FORGETS % int(last)), "1", f"{name}: what is deleted leaves its marker")


with stack(plan=9 * 3 + 2 * 6 + len(SHAPE) + 15) as s:
    # Retention
    s.cluster.sql(INSERT_OLD % "500")
    s.cluster.sql(INSERT_OLD % "300")
    kept = count(s, "table_name <> 'old'")
    before = run(s, "retention.sql")
    s.tap.equal((count(s, "table_name = 'old' AND changed_at < now() - interval '400 days'"), count(s, "table_name = 'old'")),
                (0, OLD), "what is older is gone, and nothing else of it")
    s.tap.ok(count(s, f"table_name <> 'old' AND id <= {before}") == kept, "nor of the rest")
    s.tap.equal(s.cluster.sql(FORGETS % before), "1", "in its place is one marker")
    before = int(s.cluster.sql("SELECT max(id) FROM runtime_catalog.change"))
    s.cluster.psql("-f", str(s.folder / "sql/queries/retention.sql"))
    s.tap.equal(s.cluster.sql(FORGETS % before), "0", "and none where nothing was old")
    flow(s, "not partitioned")

    # Partitions
    shape = [s.cluster.sql(query) for _, query in SHAPE]
    rows = count(s, "true")
    before = run(s, "partition.sql")
    s.tap.equal(sorted(partitions(s)), ["change_before", "change_other"], "two partitions: what was there, and what has none")
    s.tap.equal(count(s, f"id <= {before}"), rows, "every row is still there")
    for (name, query), wanted in zip(SHAPE, shape):
        s.tap.equal(s.cluster.sql(query), wanted, f"change has the same {name}")
    s.tap.equal(s.cluster.sql("SELECT conname FROM pg_constraint WHERE conrelid = 'runtime_catalog.change_before'::regclass"),
                "change_before_pkey", "no check is left behind")
    done = s.cluster.psql("-f", str(s.folder / "sql/queries/partition.sql"), check=False)
    s.tap.ok("change is partitioned already" in done.stderr, "it does nothing twice", done.stderr)
    flow(s, "partitioned")

    # The month that follows change_before has no partition yet: its rows wait in change_other.
    s.cluster.sql("INSERT INTO runtime_catalog.change (changed_at, table_name, operation)"
                  " SELECT date_trunc('month', now() + interval '1 month 7 days', 'UTC') + interval '3 days', 'later', 'insert'")
    s.tap.equal(s.cluster.sql("SELECT tableoid::regclass FROM runtime_catalog.change WHERE table_name = 'later'"),
                "runtime_catalog.change_other", "a change that no partition is there for is written")
    run(s, "partition-add.sql", lambda text: text.replace("integer := 3;", "integer := 9;"))
    found = partitions(s)
    bounds = sorted(bound for bound in found.values() if "MINVALUE" not in bound and bound != "DEFAULT")
    s.tap.ok(len(bounds) in (8, 9) and all("-01 00:00:00+00') TO (" in bound and bound.endswith("-01 00:00:00+00')") for bound in bounds),
             "a partition for each of nine months, from the first to the first in UTC", found)
    s.tap.equal(s.cluster.sql("SELECT relname = 'change_' || to_char(changed_at AT TIME ZONE 'UTC', 'YYYY_MM'),"
                              " (SELECT count(*) FROM runtime_catalog.change_other)"
                              "  FROM runtime_catalog.change JOIN pg_class ON pg_class.oid = change.tableoid WHERE table_name = 'later'"),
                "t|0", "what waited is where it belongs")
    before = run(s, "partition-add.sql")
    s.tap.equal(partitions(s), found, "run again, it has nothing to add")

    before = run(s, "partition-drop.sql")
    s.tap.equal((partitions(s), s.cluster.sql(FORGETS % before)), (found, "0"), "nothing is old, so nothing is dropped and nothing said")
    before = run(s, "partition-drop.sql", lambda text: text.replace("400 days", "-70 days"))
    s.tap.ok("change_before" not in partitions(s) and "change_other" in partitions(s), "what is old goes", partitions(s))
    s.tap.equal((count(s, f"id <= {before} AND table_name = 'old'"), s.cluster.sql(FORGETS % before)), (0, "1"),
                "with its rows, for one marker")
    flow(s, "after a drop")
