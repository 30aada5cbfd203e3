#!/usr/bin/python3
"""From every earlier version of the schema to this one, with data of every kind in it and while
others write: what was there is as it was, and no write that was acknowledged is lost. And from this
version to one that comes, under a running worker.

Before there are releases, each migration counts as one. Where no worker of this version runs yet,
writers are psql, with the rights and the SQL of their version.
"""
import re
import shutil
import subprocess
import sys
import threading

sys.path.append(sys.path[0] + "/../lib")
from cluster import BIN, schema_of  # noqa: E402
from harness import CHECKOUT, CONTAINER, stack  # noqa: E402
from processes import wait_for  # noqa: E402

LAST_TO_DEADLOCK = 10 # 0011 locks two tables the other way round; a worker tries again
ENDED = "psql has ended" # instead of an SQLSTATE
PAUSE = 0.002 # seconds between two writes: the machine is for the migration, too
WRITES_AFTER = 10 # of each writer, once the migration is through

LONG = "repeat('ä', 2048)"
# From which version on there is what, and how it is put in.
DATA = [
    (2, "SELECT runtime_catalog.forget()"),
    (3, "INSERT INTO runtime_catalog.namespace (id, path, parent_id, max_runtimes, created_at) "
        "VALUES (1001, 'team-a/', 1, NULL, '2001-02-03 04:05:06.789012+00'), (1002, 'team-b/', 1, 1000000, 'epoch'), "
        "(1003, 'team-a/_x.Y-9/', 1001, 0, now())"),
    (3, "UPDATE runtime_catalog.namespace SET max_runtimes = 9223372036854775807 WHERE id = 1002"),
    (3, "DELETE FROM runtime_catalog.namespace WHERE id = 1003"),
    (4, "INSERT INTO runtime_catalog.runtime (namespace_id, type, name, oci_runtime, cgroup_parent, cpu_nanos, memory_bytes, rootless) "
        f"VALUES (1001, 'container', 'full', {LONG}, {LONG}, 9223372036854775807, 9223372036854775807, true), "
        "(1001, 'container', '_', E'a''b\"c\\\\d\\n\\t\u2028', E'\\x01', 0, 1, false)"),
    (4, "INSERT INTO runtime_catalog.runtime (namespace_id, type, name) "
        "VALUES (1001, 'container', 'counter'), (1001, 'container', 'plain'), (1002, 'container', 'plain'), (1, 'container', repeat('n', 255)), (1, 'container', 'gone')"),
    (4, "UPDATE runtime_catalog.runtime SET memory_bytes = 5 WHERE name = 'plain'"),
    (4, "DELETE FROM runtime_catalog.runtime WHERE name = 'gone'"),
    (5, "INSERT INTO runtime_catalog.plugin (namespace_id, type, name, version, command, args, env, sha256, oci_image, runtime_type, runtime_name) "
        "VALUES (1001, 'secret', 'full', 'v1.2.3-rc.1+build', 'run', ARRAY['', 'a b', E'\\n', 'ä'], '{A=b,C=}', sha256('x'), 'image', 'container', 'full')"),
    (5, "INSERT INTO runtime_catalog.plugin (namespace_id, type, name) "
        "VALUES (1001, 'auth', 'plain'), (1, 'database', repeat('p', 255))"),
    (6, "INSERT INTO runtime_catalog.policy (namespace_id, name, text) "
        "VALUES (1001, 'long', repeat(E'# ä\\n', 100000)), (1001, 'empty', ''), (1, 'json', '{\"path\": {}}')"),
    (6, "UPDATE runtime_catalog.policy SET text = E'path \"a\" {\\n}' WHERE name = 'json'"),
    (7, "INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, parent, display_name, meta, path, created_at, renewed_at, "
        "expires_at, renewable, ttl, explicit_max_ttl, period, uses_left, used_up_at, bound_cidrs) "
        "VALUES (sha256('full'), repeat('f', 24), 1001, '{long,empty,absent}', NULL, 'token-ä', '{\"k\": \"v\"}', 'auth/token/create', "
        "'2001-01-01', '2001-01-02', '2999-01-01', false, 9223372036854775807, 1, 2, 2147483647, NULL, '{10.0.0.0/8,2001:db8::/32}')"),
    (7, "INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, parent, expires_at, uses_left, used_up_at) "
        "VALUES (sha256('child'), repeat('c', 24), 1001, '{}', repeat('f', 24), NULL, 0, now()), "
        "(sha256('root'), repeat('r', 24), 1, '{root}', NULL, NULL, NULL, NULL), "
        "(sha256('ended'), repeat('e', 24), 1002, '{default}', repeat('c', 24), '2001-01-01', NULL, NULL)"),
    (10, "INSERT INTO runtime_catalog.plugin (namespace_id, type, name) VALUES (1001, 'unknown', 'plain')"),
    (11, "UPDATE runtime_catalog.namespace SET custom_metadata = '{\"a\": \"b\", \"ä\": \"\"}' WHERE id = 1001"),
]

# Writers: from which version on, as whom, which statement for the n-th write, and how many of its
# writes are there.
WRITERS = [
    (2, "operator", "SELECT runtime_catalog.forget()",
     "SELECT count(*) FROM runtime_catalog.change WHERE operation = 'forget' AND role_name = 'person_operator'"),
    (3, "operator", "INSERT INTO runtime_catalog.namespace (path, parent_id) VALUES ('load-{n}/', 1) RETURNING true",
     "SELECT count(*) FROM runtime_catalog.namespace WHERE path LIKE 'load-%'"),
    (4, "worker", "INSERT INTO runtime_catalog.runtime (namespace_id, type, name, cpu_nanos) VALUES (1001, 'container', 'load-{n}', {n}) RETURNING true",
     "SELECT count(*) FROM runtime_catalog.runtime WHERE name = 'load-' || cpu_nanos"),
    (4, "worker", "UPDATE runtime_catalog.runtime SET memory_bytes = {n} WHERE namespace_id = 1001 AND name = 'counter' RETURNING true",
     "SELECT memory_bytes + 1 FROM runtime_catalog.runtime WHERE name = 'counter'"),
    (5, "owner", "INSERT INTO runtime_catalog.plugin (namespace_id, type, name, runtime_type, runtime_name) "
                 "VALUES (1001, 'secret', 'load-{n}', 'container', 'plain') RETURNING true",
     "SELECT count(*) FROM runtime_catalog.plugin WHERE name LIKE 'load-%'"),
    (6, "operator", "INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1001, 'load-{n}', '{n}') "
                    "ON CONFLICT (namespace_id, name) DO UPDATE SET text = excluded.text, updated_at = excluded.updated_at RETURNING true",
     "SELECT count(*) FROM runtime_catalog.policy WHERE name = 'load-' || text"),
    (7, "operator", "INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, parent) "
                    "VALUES (sha256('{n}'), lpad('{n}', 24, '0'), 1001, '{{}}', repeat('f', 24)) RETURNING true",
     "SELECT count(*) FROM runtime_catalog.token WHERE hash = sha256(ltrim(accessor, '0')::bytea) OR accessor = repeat('0', 24)"),
]
# Every write leaves a row here, those of a counter that is not written anew as well.
RECORDED = "SELECT count(*) FROM runtime_catalog.change WHERE role_name IN ('runtime_catalog_worker', 'person_operator', 'person_owner')"

# One that comes: it touches every table, and replaces what the worker calls.
NEXT = """BEGIN;
SET LOCAL ROLE runtime_catalog_owner;
SET LOCAL lock_timeout = '500ms';
LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker) VALUES (%(version)d, 'next', '0.1.0');
LOCK TABLE runtime_catalog.plugin, runtime_catalog.runtime, runtime_catalog.policy, runtime_catalog.token, runtime_catalog.namespace;
ALTER TABLE runtime_catalog.namespace ADD COLUMN next text NOT NULL DEFAULT 'x';
ALTER TABLE runtime_catalog.runtime ADD COLUMN next text NOT NULL DEFAULT 'x', ALTER COLUMN memory_bytes TYPE numeric;
ALTER TABLE runtime_catalog.plugin ADD COLUMN next text NOT NULL DEFAULT 'x';
ALTER TABLE runtime_catalog.policy ADD COLUMN next text NOT NULL DEFAULT 'x';
ALTER TABLE runtime_catalog.token ADD COLUMN next text NOT NULL DEFAULT 'x';
DROP FUNCTION runtime_catalog.delete_runtime(bigint, text, text);
%(function)s;
GRANT EXECUTE ON FUNCTION runtime_catalog.delete_runtime(bigint, text, text) TO runtime_catalog_worker;
COMMIT;
"""


class Database:
    """One of the cluster's."""

    def __init__(self, s, name):
        self.s, self.name = s, name

    def dsn(self, role="postgres"):
        return f"host={self.s.cluster.socket} dbname={self.name} user={role}"

    def sql(self, statements):
        """What they yield; each is a transaction of its own."""
        done = subprocess.run([BIN / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.dsn()], input=statements,
                              check=False, text=True, capture_output=True)
        if done.returncode:
            raise RuntimeError(f"{self.name}: {statements}\n{done.stderr}")
        return done.stdout.rstrip("\n")

    def copy(self, name):
        Database(self.s, "postgres").sql(f"CREATE DATABASE {name} TEMPLATE {self.name}")
        return Database(self.s, name)

    def migrate(self, folder):
        done = subprocess.run([self.s.folder / "bin/runtime-catalog", "migrate", f"-migrations={folder}"], check=False, text=True,
                              capture_output=True, env={"RUNTIME_CATALOG_DSN": self.dsn()}, timeout=120)
        if done.returncode:
            raise RuntimeError(f"{self.name}: {done.stdout}{done.stderr}")

    def tables(self):
        """table: its columns"""
        rows = self.sql("SELECT table_name, string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position)"
                        " FROM information_schema.columns WHERE table_schema = 'runtime_catalog' GROUP BY table_name")
        return dict(row.split("|") for row in rows.splitlines())

    def rows(self, tables, last):
        """Everything in these columns, but what migrations and writers put in; of change up to a row."""
        mine = {"schema_version": f"version <= {self.version()}", "change": f"id <= {last}", "namespace": "path !~ '^load-'",
                "runtime": "name !~ '^(load-|counter$)'", "plugin": "name !~ '^load-'", "policy": "name !~ '^load-'",
                "token": "accessor !~ '^0'"}
        each = " UNION ALL ".join(f"SELECT '{table} ' || row_to_json(it) FROM (SELECT {columns.replace('checksum, ', '')}"
                                  f" FROM runtime_catalog.{table} WHERE {mine.get(table, True)}) AS it" for table, columns in tables.items())
        return sorted(self.sql(each).splitlines())

    def version(self):
        return int(re.search(r"\d+", self.name)[0])

    def fill(self):
        self.sql(";\n".join(statement for version, statement in DATA if version <= self.version()))


class Writer(threading.Thread):
    """A psql that writes again and again, and what PostgreSQL said of each write."""

    def __init__(self, database, role, statement, present):
        super().__init__()
        self.database, self.statement, self.present = database, statement, present
        self.end, self.acknowledged, self.refused = threading.Event(), 0, []
        role = "runtime_catalog_worker" if role == "worker" else f"person_{role}"
        self.psql = subprocess.Popen([BIN / "psql", "-XqAt", "-d", database.dsn(role)], text=True, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.ask("SELECT set_config('runtime_catalog.namespace_id', '1001', false)")

    def ask(self, statement):
        """Its SQLSTATE."""
        self.psql.stdin.write(f"{statement};\n\\echo :SQLSTATE\n")
        self.psql.stdin.flush()
        lines = iter(self.psql.stdout.readline, "")
        return next((line.strip() for line in lines if re.fullmatch(r"[0-9A-Z]{5}\n", line)), ENDED)

    def run(self):
        while True:
            state = self.ask(self.statement.format(n=self.acknowledged))
            if state == "00000":
                self.acknowledged += 1
            else:
                self.refused.append(state)
            if state == ENDED or self.end.wait(PAUSE):
                break
        self.psql.communicate("")

    def lost(self):
        return max(0, self.acknowledged - int(self.database.sql(self.present)))


def upgrade(s, database, newest):
    """Yields how many writes were made and how many of them are lost."""
    version = database.version()
    database.fill()
    before = database.tables()
    last = database.sql("SELECT coalesce(max(id), 0) FROM runtime_catalog.change") if version >= 2 else 0
    rows = database.rows(before, last)
    writers = [Writer(database, *what) for since, *what in WRITERS if since <= version]
    recorded = int(database.sql(RECORDED)) if version >= 2 else 0
    for writer in writers:
        writer.start()
    wait_for(lambda: all(writer.acknowledged > 0 for writer in writers), 20, "every writer writes")
    database.migrate(newest)
    marks = [writer.acknowledged for writer in writers]
    wait_for(lambda: all(writer.acknowledged >= mark + WRITES_AFTER or writer.refused for writer, mark in zip(writers, marks)), 30,
             "every writer goes on")
    for writer in writers:
        writer.end.set()
        writer.join()

    label = f"from {version}"
    refused = {state for writer in writers for state in writer.refused}
    s.tap.ok(refused <= ({"40P01"} if version <= LAST_TO_DEADLOCK else set()), f"{label}: no write was refused meanwhile", refused)
    after = database.rows(before, last)
    s.tap.ok(after == rows, f"{label}: what was there is as it was", *(line[:1000] for line in set(rows) ^ set(after)))
    written = sum(writer.acknowledged for writer in writers)
    unrecorded = max(0, written - (int(database.sql(RECORDED)) - recorded if version >= 2 else 0))
    lost = sum(writer.lost() for writer in writers)
    s.tap.equal((lost, unrecorded), (0, 0), f"{label}: of {written} writes none is lost, nor its place in history")
    return written, lost


def prefixes(s):
    """The migrations, and for each but the last a folder with those up to it."""
    files = sorted((s.folder / "sql/migrations").glob("*.sql"))
    for count in range(1, len(files)):
        folder = s.folder / f"to{count}"
        folder.mkdir()
        for file in files[:count]:
            shutil.copy(file, folder)
        yield count, folder


def worker_fits(s, database):
    s.configure_worker(lambda text: text.replace("dbname=runtime_catalog", f"dbname={database.name}"))
    done = subprocess.run([s.folder / "bin/runtime-catalogd", "-t", "-c", s.folder / "worker.conf"], text=True, capture_output=True, check=False)
    s.configure_worker()
    # The policies of the data above are no policies.
    return [line for line in done.stderr.splitlines() if "[ERROR]" in line and 'policy "' not in line]


def under_a_worker(s, current):
    """The version that comes, while clients register, change and delete runtimes."""
    folder = s.folder / "next"
    shutil.copytree(s.folder / "sql/migrations", folder)
    version = len(list(folder.glob("*.sql"))) + 1
    function = current.sql("SELECT pg_get_functiondef('runtime_catalog.delete_runtime'::regproc)")
    (folder / f"{version:04}_next.sql").write_text(NEXT % {"version": version, "function": function})
    end, statuses, kept = threading.Event(), [], [{} for _ in range(4)]

    def client(number):
        connection, value = s.client.connect(), 0
        while not end.is_set():
            value += 1
            name = f"c{number}-{value % 50}"
            for method, body in (("PUT", {"cpu_nanos": value}), ("DELETE", None))[:2 if value % 3 == 0 else 1]:
                status = s.request(method, CONTAINER + name, body, connection=connection).status
                statuses.append(status)
                if status == 204:
                    kept[number][name] = value if method == "PUT" else None
        connection.close()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(len(kept))]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(statuses) > 50, 20, "clients write")
    current.migrate(folder)
    mark = len(statuses)
    wait_for(lambda: len(statuses) > mark + 50, 20, "clients go on")
    end.set()
    for thread in threads:
        thread.join()
    found = dict(row.split("|") for row in current.sql("SELECT name, cpu_nanos FROM runtime_catalog.runtime").splitlines())
    wanted = {name: str(value) for own in kept for name, value in own.items() if value is not None}
    lost = len(set(wanted.items()) ^ set(found.items()))
    s.tap.equal(set(statuses), {204}, f"to {version}, under a running worker: every request is answered")
    s.tap.equal(lost, 0, f"to {version}: of {len(statuses)} writes none is lost")
    return len(statuses), lost


def main(s):
    newest = s.folder / "sql/migrations"
    s.cluster.sql("".join(f"CREATE ROLE person_{role} LOGIN IN ROLE runtime_catalog_{role};" for role in ("owner", "operator")))
    current = Database(s, "runtime_catalog")
    schema = schema_of(current.dsn())
    database, totals = Database(s, "template1").copy("v1"), []
    database.sql((s.folder / "sql/roles.sql").read_text())
    for version, folder in prefixes(s):
        database.migrate(folder)
        later = database.copy(f"v{version + 1}")
        totals.append(upgrade(s, database, newest))
        s.tap.ok(schema_of(database.dsn()) == schema, f"from {version}: the schema is that of a new one")
        s.tap.equal(worker_fits(s, database), [], f"from {version}: a worker fits it")
        database = later
    totals.append(under_a_worker(s, current))
    print(f"# {sum(written for written, _ in totals)} writes during {len(totals)} upgrades, {sum(lost for _, lost in totals)} lost")


VERSIONS = len(list((CHECKOUT / "sql/migrations").glob("*.sql")))
with stack(plan=5 * (VERSIONS - 1) + 2) as the_stack:
    main(the_stack)
