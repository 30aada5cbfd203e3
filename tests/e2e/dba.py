#!/usr/bin/python3
"""sql/README.md: each of its blocks of commands and statements is run as it stands, in their order, on a
cluster that nobody has touched, by a role that may make roles and databases and is no superuser. What
does not run, or is in no block, fails; and what some of them are said to yield, they do.
"""
import contextlib
import getpass
import os
import re
import shutil
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
from cluster import make_cluster  # noqa: E402
from harness import CHECKOUT, begin, clean_up, copy_what_runs, private_folder  # noqa: E402
from processes import leftovers, stop_being_root  # noqa: E402
from tap import Tap  # noqa: E402

README = CHECKOUT / "sql/README.md"
BLOCK = re.compile(r"^( *)```(\w+)(?: (\S+))?\n(.*?)^\1```$", re.M | re.S)
WORKER_LOGS_IN = "SELECT session_user FROM runtime_catalog.schema_version LIMIT 1"
SAMPLE = """
INSERT INTO runtime_catalog.namespace (path, parent_id) VALUES ('customer-a/', 1);
INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1, 'container', 'example-plugin-runtime');
INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies) VALUES (sha256('x'), repeat('x', 24), 1, '{root}');
INSERT INTO runtime_catalog.change (changed_at, table_name, operation) VALUES (now() - interval '500 days', 'old', 'insert');
"""

# What some blocks are run against, and what there is when they have run: a piece of the block, a
# statement before it (or none), one after it, the answer of that, and what it shows.
EXPECTATIONS = [
    ("migrate -migrations", SAMPLE, "SELECT count(*) FROM runtime_catalog.runtime", "1", "the schema is there, whoever migrated"),
    ("REVOKE ALL ON DATABASE", None, "SELECT has_database_privilege('ann', 'runtime_catalog', 'CONNECT')", "f", "PUBLIC has no way in"),
    ("GRANT runtime_catalog_reader", None, "SELECT pg_has_role('ann', 'runtime_catalog_reader', 'USAGE'),"
     " pg_has_role('ben', 'runtime_catalog_operator', 'USAGE')", "t|t", "people are members of groups"),
    ("max_runtimes = 100", None, "SELECT max_runtimes FROM runtime_catalog.namespace WHERE path = 'customer-a/'", "100", "a limit is set"),
    ("queries/retention.sql", None, "SELECT count(*) FROM runtime_catalog.change WHERE table_name = 'old'", "0", "old history goes"),
    ("queries/partition.sql", None, "SELECT count(*) > 2 FROM pg_inherits WHERE inhparent = 'runtime_catalog.change'::regclass", "t",
     "change is partitioned"),
    ("log_parameter_max_length = 0", None, "SELECT 'log_parameter_max_length=0' = ANY (rolconfig) FROM pg_roles WHERE rolname = 'runtime_catalog_worker'",
     "t", "parameters are not logged"),
    ("DELETE FROM runtime_catalog.token", None, "SELECT count(*) FROM runtime_catalog.token", "0", "a token ends by its accessor"),
    ("dropdb second", None, "SELECT has_database_privilege('runtime_catalog_owner', 'runtime_catalog', 'CREATE'),"
     " has_table_privilege('runtime_catalog_reader', 'runtime_catalog.runtime', 'SELECT')", "t|t", "of two catalogs one goes, and the other stays as it was"),
    ("DROP OWNED BY", None, "SELECT count(*) FROM pg_namespace WHERE nspname = 'runtime_catalog'", "0", "the schema is gone"),
    ("DROP ROLE", None, "SELECT count(*) FROM pg_roles WHERE starts_with(rolname, 'runtime_catalog_')", "0", "and the roles"),
]

# Pieces of blocks that are to find nothing.
FIND_NOTHING = ["tgenabled <> 'A'", "pg_catalog.unnest(pg_catalog.pg_blocking_pids", "blocking.pid AS for_pid"]


class Machine:
    """The cluster and a shell beside it, in a folder as the README's is."""

    def __init__(self, folder):
        self.folder = folder
        self.cluster = make_cluster(folder)
        with open(self.cluster.data / "postgresql.conf", "a", encoding="ascii") as file:
            file.write("shared_preload_libraries = 'pg_stat_statements'\n")
        self.cluster.start()
        self.environment = dict(os.environ, PGHOST=str(self.cluster.socket), PGUSER="dba",
                                RUNTIME_CATALOG_DSN=f"host={self.cluster.socket} dbname=runtime_catalog user=dba",
                                PATH=f"{folder}/bin:/usr/lib/postgresql/15/bin:{os.environ['PATH']}")
        self.psql("postgres", "postgres", "CREATE ROLE dba LOGIN CREATEROLE CREATEDB; CREATE ROLE ann LOGIN; CREATE ROLE ben LOGIN")

    def run(self, command, text=None, **environment):
        return subprocess.run(command, input=text or "", cwd=self.folder / "sql", env=self.environment | environment,
                              capture_output=True, text=True, check=False, timeout=120)

    def psql(self, user, database, statements):
        return self.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database], statements, PGUSER=user)

    def configure(self, name, text):
        """Lines at the top of a file, and whether PostgreSQL reads them and lets the worker in."""
        file = self.cluster.data / name
        file.write_text(text.replace("nobody", getpass.getuser()) + file.read_text())
        return self.psql("postgres", "runtime_catalog", """
            SELECT pg_reload_conf() \\gset
            DO $$ BEGIN
                IF EXISTS (SELECT FROM pg_hba_file_rules WHERE error IS NOT NULL)
                   OR EXISTS (SELECT FROM pg_ident_file_mappings WHERE error IS NOT NULL) THEN RAISE 'a line is refused'; END IF;
            END $$""")

    def surroundings(self, text):
        """An extension that a statement asks for if the database has it, for as long as it runs."""
        if "pg_stat_statements" not in text:
            return text
        self.psql("postgres", "runtime_catalog", "CREATE EXTENSION pg_stat_statements")
        return text + "\\c - postgres\nDROP EXTENSION pg_stat_statements"

    def run_block(self, language, word, text):
        if language == "sh" and not word:
            return self.run(["bash", "-euo", "pipefail", "-c", text])
        if language == "sql" and word in (None, "superuser"):
            done = self.psql("postgres" if word else "dba", "runtime_catalog", self.surroundings(text))
            # In every database that has a catalog.
            return self.psql("dba", "restored", text) if "DROP OWNED" in text and done.returncode == 0 else done
        if language == "conf" and word in ("pg_ident.conf", "pg_hba.conf"):
            return self.configure(word, text)
        raise RuntimeError(f"nobody knows how to run ```{language} {word}")


def stray_code(text):
    """What looks like code and is in no block, and statements in running text."""
    text = BLOCK.sub("", text)
    yield from re.findall(r"^    +\S.*", text, re.M)
    yield from re.findall(r"^ *```.*", text, re.M)
    yield from (code for code in re.findall(r"`([^`]+)`", text)
                if re.match(r"(SELECT|INSERT|UPDATE|DELETE|ALTER|GRANT|REVOKE|CREATE|DROP) ", code) and re.search(r"runtime_catalog|;|…", code))


def check_blocks(tap, machine, blocks):
    expected = list(EXPECTATIONS)
    for number, (_, language, word, text) in enumerate(blocks):
        done = machine.run_block(language, word or None, text)
        name = f"block {number + 1}: {text.strip().splitlines()[0]}"
        tap.ok(done.returncode == 0 and "ERROR" not in done.stderr, name, text, done.stdout[-2000:], done.stderr[-2000:])
        if any(piece in text for piece in FIND_NOTHING):
            tap.equal(done.stdout, "", f"{name}: finds nothing")
        while expected and expected[0][0] in text:
            _, before, query, wanted, what = expected.pop(0)
            if before:
                machine.psql("postgres", "runtime_catalog", before)
            answer = machine.psql("postgres", "runtime_catalog", query)
            tap.equal(answer.stdout.strip() or answer.stderr, wanted, what)
        if word == "pg_hba.conf":
            answer = machine.psql("runtime_catalog_worker", "runtime_catalog", WORKER_LOGS_IN)
            tap.equal(answer.stdout.strip() or answer.stderr, "runtime_catalog_worker", "the worker logs in as its system user")
    tap.equal([piece for piece, *_ in expected], [], "every block that something is expected of was there")


text = README.read_text()
blocks = BLOCK.findall(text)
finding = sum(any(piece in block for piece in FIND_NOTHING) for *_, block in blocks)
tap = Tap(len(blocks) + len(EXPECTATIONS) + finding + 7)
tap.equal(list(stray_code(text)), [], "all code is in blocks")
mentioned = sorted(set(re.findall(r"-f queries/(\S+)", "".join(block for *_, block in blocks))))
tap.equal(mentioned, sorted(path.name for path in (CHECKOUT / "sql/queries").iterdir()), "each file of queries/ is run")
begin()
with private_folder() as folder:
    copy_what_runs(folder)
    stop_being_root(folder)
    machine = Machine(folder)
    try:
        check_blocks(tap, machine, blocks)
        tap.equal(machine.psql("postgres", "restored", "SELECT count(*) FROM pg_namespace WHERE nspname = 'runtime_catalog'").stdout.strip(),
                  "0", "and from what was restored")
        tap.equal(machine.cluster.complaints([]), [], "PostgreSQL has nothing to complain of")
        machine.cluster.stop()
        tap.equal(leftovers(), [], "no process is left")
    finally:
        clean_up(machine.cluster)
sys.exit(tap.exit_status())
