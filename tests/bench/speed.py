"""How fast requests are answered, and what they cost."""
import contextlib
import json
import signal
import subprocess

from chain import BARE, CLIENTS, EXAMPLE, LIST, READ, ROUNDS, RUNTIMES, SECONDS, WRITE
from harness import CONTAINER
from load import in_turn, median, pgbench, pgbench_command
from processes import start, stop, wait_for
from rows import compared, costed, measured, show
from statements import log_statements, statements_of

STORM = 2000 # writes a second
NO_CACHE = 'max_staleness = "0s"'

# The columns of a runtime and its key, without what the catalog adds: no trigger, no row-level
# security, no foreign key; and no checks, but in the second table.
BARE_TABLE = """
CREATE SCHEMA bench;
CREATE TABLE bench.runtime (LIKE runtime_catalog.runtime INCLUDING DEFAULTS, CONSTRAINT runtime_pkey PRIMARY KEY (namespace_id, type, name));
CREATE TABLE bench.checked (LIKE runtime_catalog.runtime INCLUDING DEFAULTS INCLUDING CONSTRAINTS, PRIMARY KEY (namespace_id, type, name));
INSERT INTO bench.runtime SELECT * FROM runtime_catalog.runtime;
INSERT INTO bench.checked SELECT * FROM runtime_catalog.runtime;
"""
BARE_UPSERT = r"""
\set name random(1, {runtimes})
INSERT INTO bench.{table} AS runtime (namespace_id, type, name, oci_runtime, cgroup_parent, cpu_nanos, memory_bytes, rootless)
VALUES (1, 'container', :name, 'runsc', '/examplelimit/', 1000::bigint, 10000000::bigint, 'false'::boolean)
ON CONFLICT (namespace_id, type, name) DO UPDATE
SET oci_runtime = excluded.oci_runtime, cgroup_parent = excluded.cgroup_parent, cpu_nanos = excluded.cpu_nanos,
    memory_bytes = excluded.memory_bytes, rootless = excluded.rootless, updated_at = excluded.updated_at;
"""
ROW_SECURITY = """
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT DISTINCT tablename FROM pg_policies WHERE schemaname = 'runtime_catalog' LOOP
        EXECUTE format('ALTER TABLE runtime_catalog.%%I %s ROW LEVEL SECURITY', name);
    END LOOP;
END $$
"""


def read(bench, kind="plain"):
    loop = {"worker's loop, no work": bench.load(bench.bare(program="workless"), READ, CLIENTS)} if kind == "plain" else {}
    bench.compare(f"read, {kind}", "requests/s", {
        "nginx return": bench.load(bench.returning(), READ, CLIENTS, kind), **loop,
        BARE: bench.load(bench.bare(), READ, CLIENTS, kind),
        "worker": bench.load(bench.ours(), READ, CLIENTS, kind)})


def tls(bench):
    read(bench, "tls")


def cold(bench):
    """The cache is off: token, policies and object by one statement."""
    bench.compare("cold", "requests/s", {
        BARE: bench.load(bench.bare(), READ, CLIENTS),
        "worker": bench.load(bench.ours("cold", cache=NO_CACHE), READ, CLIENTS)})


def lists(bench):
    for connections in (1, 8):
        bench.compare(f"list, {connections} clients", "requests/s", {
            BARE: bench.load(bench.bare(LIST.path), LIST, connections),
            "worker": bench.load(bench.ours(), LIST, connections)})


class Scripts:
    """For pgbench: the worker's own statements of a request about one of some runtimes."""

    def __init__(self, site, method, body="", cache=""):
        self.site, self.method = site, method
        log_statements(site, "runtime_catalog_worker", True)
        spy = site.worker(f"spy-{method}", cache=cache)
        self.found = statements_of(site, spy, method, CONTAINER + "1", body)
        spy.stop()
        log_statements(site, "runtime_catalog_worker", False)

    def write(self, name, text):
        path = self.site.folder / name
        path.write_text(text)
        return path

    def own(self, first, last):
        """(script, definitions): what a request about one of the runtimes first … last sends."""
        text, definitions = "", {}
        for index, statement in enumerate(self.found):
            names = [number for number, value in statement.parameters.items() if value == "1"]
            text += statement.script(f"p{index}", {number: f"random({first}, {last})" for number in names})
            definitions.update(statement.definitions(f"p{index}"))
        return self.write(f"own-{self.method}-{first}-{last}.sql", text), definitions


def scripts(bench):
    return bench.once("scripts", lambda: Scripts(bench.site, "POST", json.dumps(EXAMPLE)))


def write(bench):
    def statements(script, role):
        return lambda: pgbench(bench.site, script, connections, SECONDS, role)

    made = scripts(bench)
    bare, checked = ((made.write(f"{table}.sql", BARE_UPSERT.format(table=table, runtimes=RUNTIMES)), {})
                     for table in ("runtime", "checked"))
    bench.site.cluster.sql(BARE_TABLE)
    print(f"\nA write makes the worker send: {', '.join(one.name for one in made.found)}")
    for connections in (1, 8, CLIENTS):
        name = f"write, {connections} client{'s' if connections > 1 else ''}"
        upserts = {"pgbench, bare upsert": statements(bare, "postgres"),
                   "pgbench, with its checks": statements(checked, "postgres")} if connections == CLIENTS else {}
        samples = in_turn(ROUNDS, {
            **upserts,
            "pgbench, same statements": statements(made.own(1, RUNTIMES), "runtime_catalog_worker"),
            "worker": bench.load(bench.ours(), WRITE, connections)})
        show(f"{name}, writes/s", samples)
        bench.results.add(compared(name, "writes/s", samples["worker"], samples["pgbench, same statements"]))
    bench.results.add(compared(f"history and row security, {CLIENTS} clients", "writes/s",
                               samples["pgbench, same statements"], samples["pgbench, bare upsert"]),
                      compared(f"the same, beside a table with checks, {CLIENTS} clients", "writes/s",
                               samples["pgbench, same statements"], samples["pgbench, with its checks"]))


def row_security(bench):
    """What it costs a read that PostgreSQL answers: the worker's own statement, and the whole chain with
    the cache off. What memory answers asks nobody. The CPU tells it also on a machine that is busy."""
    def with_security(how, load):
        def run():
            bench.site.cluster.sql(ROW_SECURITY % how)
            return load()
        return run

    own = Scripts(bench.site, "GET", cache=NO_CACHE).own(1, RUNTIMES)
    chain = bench.ours("cold", cache=NO_CACHE)
    for name, load in (("statement, 1 client", lambda: pgbench(bench.site, own, 1, SECONDS, "runtime_catalog_worker")),
                       (f"statement, {CLIENTS} clients", lambda: pgbench(bench.site, own, CLIENTS, SECONDS, "runtime_catalog_worker")),
                       (f"chain, {CLIENTS} clients", bench.load(chain, READ, CLIENTS))):
        samples = in_turn(ROUNDS, {"off": with_security("DISABLE", load), "on": with_security("ENABLE", load)})
        show(f"row security, {name}, reads/s", samples)
        bench.results.add(compared(f"row security, {name}", "reads/s", samples["on"], samples["off"]),
                          costed(f"row security, {name}, CPU", "PostgreSQL", samples["on"], samples["off"]))
    bench.site.cluster.sql(ROW_SECURITY % "ENABLE")


def audit(bench):
    """What two records of each request cost."""
    for requests, name in ((READ, "read"), (WRITE, "write")):
        recording = bench.ours("audited", more=f'audit "file" {{\n  file_path = "{bench.site.folder}/audit.log"\n}}')
        samples = in_turn(ROUNDS, {"without audit": bench.load(bench.ours(), requests, CLIENTS),
                                   "with audit": bench.load(recording, requests, CLIENTS)})
        show(f"audit, {name}, requests/s", samples)
        bench.results.add(compared(f"audit, {name}, beside none", "requests/s", samples["with audit"], samples["without audit"]),
                          costed(f"audit, {name}: CPU of the worker", "worker", samples["with audit"], samples["without audit"]))


def pool(bench):
    """What a number of connections to PostgreSQL is good for."""
    for name, requests, cache in (("write", WRITE, ""), ("read without a cache", READ, NO_CACHE)):
        loads = {f"{count} connections": bench.load(
            bench.ours(f"pool-{name.split()[0]}-{count}", storage=f"max_connections = {count}", cache=cache), requests, CLIENTS)
            for count in (1, 2, 4, 8, 16, 32)}
        samples = in_turn(ROUNDS, loads)
        show(f"pool, {name}, {CLIENTS} clients, requests/s", samples)
        bench.results.add(*(measured(f"pool: {name}, {size}", "requests/s", median(one)) for size, one in samples.items()))


@contextlib.contextmanager
def storm(bench):
    """While it lasts another worker's statements write runtimes that nobody reads."""
    log = bench.site.folder / "storm.log"
    log.unlink(missing_ok=True)
    command = pgbench_command(bench.site, *scripts(bench).own(RUNTIMES // 2 + 1, RUNTIMES), 8, 60, "runtime_catalog_worker")
    process = start([*command, f"-R{STORM}", "-P1"], log)
    try:
        wait_for(lambda: "progress" in log.read_text(), 20, "the storm blows")
        yield
    finally:
        stop(process, signal.SIGTERM)


def in_storm(bench):
    """Reads of what is not written, while 2,000 others a second are."""
    def under_storm(load):
        def run():
            with storm(bench):
                return load()
        return run

    bench.compare("storm", "requests/s", {
        BARE: under_storm(bench.load(bench.bare(), READ, CLIENTS)),
        "worker": under_storm(bench.load(bench.ours(), READ, CLIENTS))})
    rates = [line.split(" tps")[0].split()[-1] for line in (bench.site.folder / "storm.log").read_text().splitlines() if " tps" in line]
    print(f"  the last storm wrote {', '.join(rates)} a second")


def policy(bench):
    """1,000 rules, in one process."""
    done = subprocess.run([bench.site.folder / "bin/policy_bench"], capture_output=True, text=True, check=True)
    print("\npolicy of 1,000 rules, one check")
    for line in done.stdout.splitlines():
        name, nanoseconds = line.split()
        bench.results.add(measured(f"policy, {name}", "µs", int(nanoseconds) / 1000))
