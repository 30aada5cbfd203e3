#!/usr/bin/python3
"""Migrations by the tool and by psql: once each, whole or not at all, the files as they were. A
worker does not start on a schema that is too old or too new, and one that runs goes on under a
migration, or says that it no longer can."""
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time

sys.path.append(sys.path[0] + "/../lib")
from cluster import BIN, lines_of, schema_of  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from processes import wait_for  # noqa: E402

AT_ONCE = 4

MIGRATION = """BEGIN;
SET LOCAL ROLE runtime_catalog_owner;
SET LOCAL lock_timeout = '500ms';
LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker) VALUES (%(version)d, '%(name)s', '%(oldest)s');
%(body)s
COMMIT;
"""


def numbered(folder):
    return sorted(folder.glob("*.sql"))


class Files:
    """A copy of the migrations, with which something is wrong, or to which one was added."""

    def __init__(self, s, name):
        self.folder = s.folder / name
        shutil.copytree(s.folder / "sql/migrations", self.folder)
        self.flag = f"-migrations={self.folder}"
        self.next = len(numbered(self.folder)) + 1

    def add(self, name, body, oldest="0.1.0", text=MIGRATION):
        file = self.folder / f"{self.next:04}_{name}.sql"
        file.write_text(text % {"version": self.next, "name": name, "oldest": oldest, "body": body})
        self.next += 1
        return file

    def file(self, number):
        return next(self.folder.glob(f"{number:04}_*.sql"))


def start_tool(s, dsn, *arguments):
    return subprocess.Popen([s.folder / "bin/runtime-catalog", *arguments], stdin=subprocess.DEVNULL, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=os.environ | {"RUNTIME_CATALOG_DSN": dsn})


def output_of(child):
    return "".join(child.communicate(timeout=120))


def run(s, dsn, *arguments):
    child = start_tool(s, dsn, *arguments)
    output = output_of(child)
    return child.returncode, output


def psql(dsn, *arguments, check=True):
    return subprocess.run([BIN / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", dsn, *arguments], check=check,
                          text=True, capture_output=True)


def database(s, name):
    """Empty, with roles."""
    subprocess.run([BIN / "createdb", "-h", s.cluster.socket, "-U", "postgres", name], check=True)
    dsn = s.cluster.dsn().replace("dbname=runtime_catalog", f"dbname={name}")
    psql(dsn, "-f", s.folder / "sql/roles.sql")
    return dsn


def states(s, dsn, flag):
    """What status says, by version."""
    output = run(s, dsn, "status", flag, "-format=json")[1]
    return {row["version"]: row["state"] for row in json.loads(output[:output.rindex("]") + 1])}


def by_psql_and_tool(s, flag):
    dsn = database(s, "by_psql")
    first, *others = numbered(s.folder / "sql/migrations")
    psql(dsn, "-f", first)
    for file in others:
        psql(dsn, "-f", file)
    twice = [file.name for file in others if "schema_version_pkey" not in psql(dsn, "-f", file, check=False).stderr]
    s.tap.equal(twice, [], "none runs a second time")
    s.tap.ok(schema_of(dsn) == schema_of(s.cluster.dsn()), "psql and the tool make the same schema")
    unsigned = "SELECT count(*) FROM runtime_catalog.schema_version WHERE checksum IS NULL"
    s.tap.equal(psql(dsn, "-c", unsigned).stdout.strip(), str(1 + len(others)), "psql stores no checksum")
    status, output = run(s, dsn, "migrate", flag)
    s.tap.ok(status == 0 and "Nothing to do" in output, "after psql there is nothing left to migrate", output)
    s.tap.equal(psql(dsn, "-c", unsigned).stdout.strip(), "0", "but the checksums are stored")
    sums = psql(dsn, "-c", "SELECT checksum FROM runtime_catalog.schema_version ORDER BY version").stdout.split()
    wanted = subprocess.run(["sha256sum", first, *others], check=True, text=True, capture_output=True).stdout
    s.tap.equal(sums, [line.split()[0] for line in wanted.splitlines()], "which are what sha256sum says")


def several_at_once(s, flag):
    dsn = database(s, "at_once")
    children = [start_tool(s, dsn, "migrate", flag) for _ in range(AT_ONCE)]
    outputs = [output_of(child) for child in children]
    s.tap.equal([child.returncode for child in children], [0] * AT_ONCE, f"{AT_ONCE} migrations at once all succeed")
    s.tap.ok(schema_of(dsn) == schema_of(s.cluster.dsn()), "and the schema is what one makes", *outputs)
    s.tap.equal(run(s, dsn, "status", flag)[0], 0, "as status has it")


# What is wrong with the files, what is done to them, what is said, and which number status shows in which state.
def edit(files):
    with open(files.file(4), "a", encoding="utf-8") as file:
        file.write("-- edited\n")


def rename(files):
    files.file(4).rename(files.folder / "0004_renamed.sql")


def lose_middle(files):
    files.file(5).unlink()


def lose_last(files):
    files.file(files.next - 1).unlink()


def leave_gap(files):
    files.next += 1
    files.add("beyond", "")


def double(files):
    files.add("one", "")
    files.next -= 1
    files.add("two", "")


WRONG = [
    ("an edited file", edit, r"/0004_runtime\.sql was edited after it ran", 4, "edited"),
    ("a renamed file", rename, r"/0004_renamed\.sql was edited after it ran", 4, "edited"),
    ("a file that is missing", lose_middle, r"0005_plugin has run and is not among the files in /", 5, "unknown"),
    ("a schema that is newer than the files", lose_last, r"has run and is not among the files in /", None, "unknown"),
    ("a number that is missing", leave_gap, r"_beyond\.sql: the number before it is missing", None, "pending"),
    ("a number with two files", double, r"_two\.sql: the number before it is missing, or has two files", None, "pending"),
]

# Bodies that do not end well, and what is said.
FAILING = [
    ("fails", "CREATE TABLE runtime_catalog.half ();\nSELECT 1 / 0;", r"/\d+_fails\.sql failed: SQLSTATE 22012"),
    ("is_no_sql", "CREATE TABLE runtime_catalog.half ();\nCREATE TABEL x;", r"/\d+_is_no_sql\.sql failed: SQLSTATE 42601"),
    ("may_not", "CREATE TABLE runtime_catalog.half ();\nCREATE ROLE mine;", r"/\d+_may_not\.sql failed: SQLSTATE 42501"),
]


def wrong_files(s):
    dsn = s.cluster.dsn()
    before = schema_of(dsn)
    for number, (name, spoil, like, version, state) in enumerate(WRONG):
        files = Files(s, f"wrong{number}")
        spoil(files)
        status, output = run(s, dsn, "migrate", files.flag)
        s.tap.ok(status == 2 and re.search(like, output), f"{name} is refused, and named", output)
        found = states(s, dsn, files.flag)
        s.tap.ok(found[version or max(found)] == state and run(s, dsn, "status", files.flag)[0] == 2, "status shows it", found)
    for name, body, like in FAILING:
        files = Files(s, name)
        files.add(name, body)
        status, output = run(s, dsn, "migrate", files.flag)
        s.tap.ok(status == 2 and re.search(like, output), f"{name}: it is said which file failed, and how", output)
        s.tap.equal(states(s, dsn, files.flag)[files.next - 1], "pending", "it has not run")
    s.tap.ok(schema_of(dsn) == before, "nothing is left of any of these")

    dsn = database(s, "unrecorded")
    files = Files(s, "unrecorded")
    files.add("silent", "", text="BEGIN;\nCOMMIT;\n")
    status, output = run(s, dsn, "migrate", files.flag)
    s.tap.ok(status == 2 and "silent.sql has run, but schema_version has another file" in output,
             "a file that does not record itself is noticed", output)


def refusals_to_start(s):
    """runtime-catalogd, with and without -t, on schemas that it does not fit."""
    def worker(*arguments):
        done = subprocess.run([s.folder / "bin/runtime-catalogd", *arguments, "-c", s.folder / "worker.conf"], text=True,
                              capture_output=True, check=False, timeout=60)
        return done.returncode, done.stderr

    version = subprocess.run([s.folder / "bin/runtime-catalogd", "-V"], check=True, text=True, capture_output=True).stdout.split()[1]
    newest = int(s.cluster.sql("SELECT max(version) FROM runtime_catalog.schema_version"))
    insert = "INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker) VALUES (%d, 'x', '%s')"
    major, minor, patch = map(int, version.split("."))
    schemas = [
        ("too new by a major version", insert % (newest + 1, f"{major + 1}.0.0"), f"at version {newest + 1} and too new.*runtime-catalogd {major + 1}.0.0, this is {version}"),
        ("too new by a minor version", insert % (newest + 1, f"{major}.{minor + 1}.0"), f"too new.*runtime-catalogd {major}.{minor + 1}.0"),
        ("too new by a patch", insert % (newest + 1, f"{major}.{minor}.{patch + 1}"), "too new"),
        ("too new by a large number", insert % (newest + 1, f"{major}.{10**20}.0"), "too new"),
        ("whose last migration but one is too new", insert % (newest + 1, "99.0.0") + ";" + insert % (newest + 2, "0.1.0"),
         f"at version {newest + 2} and too new.*runtime-catalogd 99.0.0"),
        ("that lacks the last migration", f"DELETE FROM runtime_catalog.schema_version WHERE version = {newest}",
         f"at version {newest - 1} and too old.*needs {newest}: migration {newest} has not run"),
        ("that lacks one in the middle", "DELETE FROM runtime_catalog.schema_version WHERE version = 5",
         f"at version {newest} and too old.*migration 5 has not run"),
        ("without a record", "DELETE FROM runtime_catalog.schema_version", "at version 0 and too old.*migration 1 has not run"),
        ("with a trigger that is off", "ALTER TABLE runtime_catalog.runtime DISABLE TRIGGER runtime_records", "triggers"),
        ("with one that is on for the origin alone", "ALTER TABLE runtime_catalog.runtime ENABLE TRIGGER runtime_records", "triggers"),
        ("without a trigger", "DROP TRIGGER runtime_records ON runtime_catalog.runtime", "triggers"),
        ("with a new trigger for one that is off",
         "ALTER TABLE runtime_catalog.runtime DISABLE TRIGGER runtime_records;"
         "CREATE TRIGGER another AFTER TRUNCATE ON runtime_catalog.policy EXECUTE FUNCTION runtime_catalog.record_forgetting();"
         "ALTER TABLE runtime_catalog.policy ENABLE ALWAYS TRIGGER another", "triggers"),
        ("that is not there", "DROP SCHEMA runtime_catalog CASCADE", "no runtime_catalog schema: run runtime-catalog migrate"),
    ]
    for number, (name, statement, like) in enumerate(schemas):
        other = f"start{number}"
        psql(s.cluster.dsn().replace("dbname=runtime_catalog", "dbname=postgres"), "-c",
             f"CREATE DATABASE {other} TEMPLATE runtime_catalog")
        psql(s.cluster.dsn().replace("dbname=runtime_catalog", f"dbname={other}"), "-c", "SET client_min_messages = warning;" + statement)
        s.configure_worker(lambda text, other=other: text.replace("dbname=runtime_catalog", f"dbname={other}"),
                           storage='connect_timeout = "5s"')
        tested, started = worker("-t"), worker()
        s.tap.ok(tested[0] == started[0] == 1 and re.search(like, tested[1]) and re.search(like, started[1]),
                 f"a worker refuses a schema {name}, and says which", tested, started)
    psql(s.cluster.dsn(), "-c", insert % (newest + 1, version))
    s.configure_worker()
    tested = worker("-t")
    s.tap.equal(tested[0], 0, "and takes a newer one that serves it")
    psql(s.cluster.dsn(), "-c", f"DELETE FROM runtime_catalog.schema_version WHERE version > {newest}")


class Load:
    """Clients that write a value after the other and read it back, until told to stop."""

    def __init__(self, s, clients=4):
        self.s, self.end = s, threading.Event()
        self.answers = [] # (when it was sent, when it was answered, status)
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(clients)]

    def request(self, *arguments, connection, is_good=lambda response: True):
        sent = time.monotonic()
        response = self.s.request(*arguments, connection=connection)
        self.answers.append((sent, time.monotonic(), response.status if is_good(response) else "stale"))

    def run(self, number):
        connection, value = self.s.client.connect(), 0
        while not self.end.is_set():
            value += 1
            self.request("PUT", f"{CONTAINER}load{number}", {"cpu_nanos": value}, connection=connection)
            self.request("GET", f"{CONTAINER}load{number}", None, connection=connection,
                         is_good=lambda response, value=value: response.status != 200 or response.data["cpu_nanos"] == value)
        connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.go_on(20)
        return self

    def go_on(self, count=100):
        """Until so many more were answered."""
        wanted = len(self.answers) + count
        wait_for(lambda: len(self.answers) >= wanted, 30, "requests go on")

    def __exit__(self, *_):
        self.end.set()
        for thread in self.threads:
            thread.join()

    def statuses(self, since=0.0):
        return {status for sent, _, status in self.answers if sent > since}

    def first(self, wanted):
        """When a status was answered first; None: not yet."""
        return min((answered for _, answered, status in self.answers if status == wanted), default=None)

    def longest(self):
        return max(answered - sent for sent, answered, _ in self.answers)


def waiting_for_a_lock(s):
    """Somebody reads a table for long: the migration asks for its lock again and again, and holds
    up nobody for longer than lock_timeout."""
    files = Files(s, "patient")
    files.add("patient", "ALTER TABLE runtime_catalog.runtime ADD COLUMN patient text;")
    reader = s.cluster.session()
    reader.stdin.write("BEGIN; SELECT count(*) >= 0 FROM runtime_catalog.runtime;\n")
    reader.stdin.flush()
    reader.stdout.readline()
    status, output = run(s, s.cluster.dsn(), "migrate", files.flag, "-wait=1s")
    s.tap.ok(status == 2 and "patient.sql failed: SQLSTATE 55P03" in output, "-wait bounds how long a lock is asked for", output)
    with Load(s) as load:
        child = start_tool(s, s.cluster.dsn(), "migrate", files.flag)
        wait_for(lambda: s.cluster.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                                       " AND application_name LIKE 'runtime-catalog %'") == "1", 20, "the migration waits")
        load.go_on()
        waits = child.poll() is None
        reader.communicate("COMMIT;\n")
        output = output_of(child)
        load.go_on()
    s.tap.ok(waits and child.returncode == 0 and "trying again" in output and "Applied" in output,
             "the migration runs as soon as the lock is to be had", output)
    s.tap.equal(load.statuses(), {200, 204}, "meanwhile every request is answered")
    s.tap.ok(load.longest() < 2.5, "and none is held up for long", f"{load.longest():.3f} s")
    return files


def soon(condition):
    try:
        return wait_for(condition, 3, "")
    except TimeoutError:
        return False


def said(s, text):
    return [line for line in lines_of(s.worker_log) if text in line]


def running_worker(s, files):
    """What the worker's statements stand on is replaced under it; then by what it does not fit."""
    authenticate = s.cluster.sql("SELECT pg_get_functiondef('runtime_catalog.authenticate'::regproc)")
    files.add("replaces", f"""
ALTER TABLE runtime_catalog.runtime ADD COLUMN replaces text NOT NULL DEFAULT '';
ALTER TABLE runtime_catalog.runtime ALTER COLUMN cpu_nanos TYPE numeric;
DROP FUNCTION runtime_catalog.authenticate(bytea, text, text, inet, text, boolean);
{authenticate.replace('OUT accessor text', 'OUT accessor varchar')};
GRANT EXECUTE ON FUNCTION runtime_catalog.authenticate(bytea, text, text, inet, text, boolean) TO runtime_catalog_worker;""")
    with Load(s) as load:
        status, output = run(s, s.cluster.dsn(), "migrate", files.flag)
        load.go_on(200)
    s.tap.ok(status == 0 and "Applied" in output, "a migration runs under a worker that it serves", output)
    s.tap.equal(load.statuses(), {200, 204}, "which goes on without one request failing")

    # A migration may change rows without a trace; whoever remembers them forgets them all the same.
    s.register("remembered", cpu_nanos=1)
    for _ in range(5):
        s.request("GET", CONTAINER + "remembered")
    files.add("without_trace", """ALTER TABLE runtime_catalog.runtime DISABLE TRIGGER runtime_records;
UPDATE runtime_catalog.runtime SET cpu_nanos = 2 WHERE name = 'remembered';
ALTER TABLE runtime_catalog.runtime ENABLE ALWAYS TRIGGER runtime_records;""")
    run(s, s.cluster.dsn(), "migrate", files.flag)
    s.tap.ok(soon(lambda: s.request("GET", CONTAINER + "remembered").data["cpu_nanos"] == 2), "and drops what it remembers")

    # Until the worker has looked, its statements fail, and nothing is taken for what it is not.
    rename = "ALTER FUNCTION runtime_catalog.authenticate%s(bytea, text, text, inet, text, boolean) RENAME TO authenticate%s;"
    last = files.add("too_new", rename % ("", "_anew"), oldest="99.0.0")
    refusal = "requests are refused until the schema fits"
    s.expect("worker", f"{refusal}: .*too new", "STORAGE_AWAY")
    with Load(s) as load:
        run(s, s.cluster.dsn(), "migrate", files.flag)
        wait_for(lambda: said(s, refusal), 10, "the worker has noticed")
        load.go_on()
    s.tap.equal((load.statuses(), load.statuses(since=load.first(503))), ({200, 204, 503}, {503}),
                "a worker that a migration no longer serves refuses, and does nothing else from then on")
    lines = said(s, refusal)
    s.tap.ok(len(lines) == 1 and "needs runtime-catalogd 99.0.0, this is" in lines[0], "says so in its log, once", *lines)
    health = s.request("GET", "/v1/sys/health", token=None)
    s.tap.equal((health.status, health.key("storage")), (503, "schema does not fit"), "and in health")
    s.answer("a request without a token is still refused as such", s.request("LIST", CATALOG, token=None), 403)
    s.cluster.sql("DELETE FROM runtime_catalog.schema_version WHERE oldest_worker = '99.0.0';" + rename % ("_anew", ""))
    wait_for(lambda: s.request("LIST", CATALOG).status == 200, 10, f"the worker serves again without {last.name}")
    s.tap.ok(said(s, "the schema fits again"), "taken back, it serves again")


def late_schema(s):
    """Started while PostgreSQL is away, a worker knows of no schema; it finds out before it serves."""
    s.expect("worker", "storage is not available")
    s.expect("postgresql", "terminating (connection|autovacuum process) due to administrator command")
    s.cluster.sql("INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker) VALUES (900, 'x', '99.0.0')")
    s.stop_worker()
    s.cluster.stop()
    s.start_worker()
    s.cluster.start()
    answers = [s.request("LIST", CATALOG).status for _ in range(20)]
    s.tap.equal(set(answers), {503}, "a worker that found no database serves nothing from one that does not fit")
    s.cluster.sql("DELETE FROM runtime_catalog.schema_version WHERE version = 900")
    wait_for(lambda: s.request("LIST", CATALOG).status == 200, 10, "and serves once it fits")


with stack(plan=57, site="stand-alone") as s:
    s.stop_worker()
    current = f"-migrations={s.folder / 'sql/migrations'}"
    s.tap.equal(run(s, s.cluster.dsn(), "status", current)[0], 0, "a migrated schema is current")
    by_psql_and_tool(s, current)
    several_at_once(s, current)
    wrong_files(s)
    refusals_to_start(s)
    s.configure_worker()
    s.start_worker()
    running_worker(s, waiting_for_a_lock(s))
    late_schema(s)
