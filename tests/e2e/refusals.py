#!/usr/bin/python3
"""What PostgreSQL refuses: every row of the table in src/db_refusal.c is provoked, and becomes what the
table says; what is to be tried again is, a few times, and what may have happened is not."""
import concurrent.futures
import os
import re
import signal
import sys

sys.path.append(sys.path[0] + "/../lib")
from cluster import LOG_STATEMENTS, lines_of  # noqa: E402
from driver import Driver, bring_driver  # noqa: E402
from harness import CONTAINER, UNCACHED, stack  # noqa: E402
from processes import wait_for  # noqa: E402
from refusal_table import is_constraint, key_of, refusals, statuses  # noqa: E402

ATTEMPTS = {"NONE": 1, "RETRY": 4, "RECONNECT": 2, "UNPREPARED": 2} # if it is refused each time
LONG = "repeat('x', 5000)"

# A row of each table as it should be: column, SQL.
ROWS = {
    "schema_version": {"version": "999", "name": "'x'", "oldest_worker": "'0.1.0'"},
    "change": {"table_name": "'runtime'", "operation": "'insert'"},
    "audit_salt": {"salt": "repeat('x', 64)"},
    "namespace": {"path": "'n/'", "parent_id": "1"},
    "runtime": {"namespace_id": "1", "type": "'container'", "name": "'r'"},
    "plugin": {"namespace_id": "1", "type": "'secret'", "name": "'p'", "version": "''", "command": "'c'",
               "sha256": "sha256('')"},
    "policy": {"namespace_id": "1", "name": "'p'", "text": "''"},
    "token": {"hash": "sha256('x')", "accessor": "repeat('x', 24)", "namespace_id": "1", "policies": "'{p}'"},
}

# A violation of each constraint: the table, and what is not as it should be.
VIOLATIONS = {
    "schema_version_pkey": ("schema_version", {"version": "1"}),
    "schema_version_version_check": ("schema_version", {"version": "0"}),
    "schema_version_name_check": ("schema_version", {"name": "'X'"}),
    "schema_version_oldest_worker_check": ("schema_version", {"oldest_worker": "'1'"}),
    "schema_version_checksum_check": ("schema_version", {"checksum": "'x'"}),
    "change_pkey": ("change", {"id": "(SELECT max(id) FROM runtime_catalog.change)"}),
    "audit_salt_pkey": ("audit_salt", {}),
    "audit_salt_id_check": ("audit_salt", {"id": "false"}),
    "audit_salt_salt_check": ("audit_salt", {"salt": "'x'"}),
    "namespace_pkey": ("namespace", {"id": "1"}),
    "namespace_path_key": ("namespace", {"path": "'here/'"}),
    "namespace_id_check": ("namespace", {"id": "0"}),
    "namespace_path_check": ("namespace", {"path": "'.n/'"}),
    "namespace_reserved_check": ("namespace", {"path": "'sys/'"}),
    "namespace_max_runtimes_check": ("namespace", {"max_runtimes": "-1"}),
    "namespace_custom_metadata_check": ("namespace", {"custom_metadata": "'[]'"}),
    "namespace_parent_fkey": ("namespace", {"parent_id": "77"}),
    "runtime_namespace_fkey": ("runtime", {"namespace_id": "77"}),
    "plugin_namespace_fkey": ("plugin", {"namespace_id": "77"}),
    "policy_namespace_fkey": ("policy", {"namespace_id": "77"}),
    "token_namespace_fkey": ("token", {"namespace_id": "77"}),
    "runtime_pkey": ("runtime", {"name": "'example'"}),
    "runtime_limit": ("runtime", {"namespace_id": "(SELECT id FROM runtime_catalog.namespace WHERE path = 'full/')"}),
    "runtime_name_check": ("runtime", {"name": "'a..b'"}),
    "runtime_type_check": ("runtime", {"type": "'vm'"}),
    "runtime_oci_runtime_check": ("runtime", {"oci_runtime": "''"}),
    "runtime_cgroup_parent_check": ("runtime", {"cgroup_parent": LONG}),
    "runtime_cpu_nanos_check": ("runtime", {"cpu_nanos": "-1"}),
    "runtime_memory_bytes_check": ("runtime", {"memory_bytes": "-1"}),
    "plugin_pkey": ("plugin", {"name": "'taken'"}),
    "plugin_runtime_fkey": ("plugin", {"runtime_type": "'container'", "runtime_name": "'none'"}),
    "plugin_runtime_check": ("plugin", {"runtime_name": "'example'"}),
    "plugin_type_check": ("plugin", {"type": "'x'"}),
    "plugin_name_check": ("plugin", {"name": "'a b'"}),
    "plugin_version_check": ("plugin", {"version": "'a b'"}),
    "plugin_command_check": ("plugin", {"command": LONG}),
    "plugin_args_check": ("plugin", {"args": f"array[{LONG}]"}),
    "plugin_env_check": ("plugin", {"env": f"array[{LONG}]"}),
    "plugin_sha256_check": ("plugin", {"sha256": "'x'"}),
    "plugin_oci_image_check": ("plugin", {"oci_image": LONG}),
    "policy_pkey": ("policy", {"name": "'taken'"}),
    "policy_name_check": ("policy", {"name": "'root'"}),
    "policy_text_check": ("policy", {"text": "repeat('x', 600000)"}),
    "token_pkey": ("token", {"hash": "sha256('taken')"}), # PostgreSQL's DETAIL shows it
    "token_accessor_key": ("token", {"accessor": "(SELECT min(accessor) FROM runtime_catalog.token)"}),
    "token_parent_fkey": ("token", {"parent": "repeat('y', 24)"}),
    "token_parent_check": ("token", {"parent": "repeat('x', 24)"}),
    "token_hash_check": ("token", {"hash": "'x'"}),
    "token_accessor_check": ("token", {"accessor": "'x'"}),
    "token_path_check": ("token", {"path": LONG}),
    "token_policies_check": ("token", {"policies": f"array[{LONG}]"}),
    "token_display_name_check": ("token", {"display_name": LONG}),
    "token_meta_check": ("token", {"meta": "'[]'"}),
    "token_ttl_check": ("token", {"ttl": "-1"}),
    "token_explicit_max_ttl_check": ("token", {"explicit_max_ttl": "-1"}),
    "token_period_check": ("token", {"period": "-1"}),
    "token_uses_left_check": ("token", {"uses_left": "-1"}),
    "token_bound_cidrs_check": ("token", {"bound_cidrs": "'{}'"}),
}
# Both its columns are unique by themselves, so that these are always violated first.
NEVER_ALONE = {"namespace_id_path_key"}

# A SQLSTATE of each class that is a row.
OF_CLASS = {"08": "08006", "28": "28000", "40": "40003", "53": "53200", "57": "57P03", "58": "58030"}

# What makes PostgreSQL itself say so, with one connection and nobody else: statements of which the
# last is the one, and whether it succeeds in the end.
PROVOKED = [
    ("23503", "what a table of somebody else's refers to", ["DELETE FROM runtime_catalog.runtime WHERE name = 'held'"], False),
    ("0A000", "a plan from before a migration",
     ["SELECT * FROM public.shape", "ALTER TABLE public.shape ADD COLUMN more integer", "SELECT * FROM public.shape"], True),
    ("25006", "a session that has become read-only",
     ["SET default_transaction_read_only = on", "INSERT INTO public.shape DEFAULT VALUES"], True),
    ("26000", "a statement that is gone", ["SELECT 1", "DEALLOCATE ALL", "SELECT 1"], True),
    ("42703", "a column that is not there", ["SELECT nothing FROM public.shape"], False),
    ("42883", "a function that is not there", ["SELECT public.nothing()"], False),
    ("42P01", "a table that is not there", ["SELECT * FROM public.nothing"], False),
    ("42P05", "a statement's name that is taken", ["PREPARE s1 AS SELECT 1", "SELECT 2"], True),
    ("53400", "a temporary file beyond the limit", ["SET temp_file_limit = 0", "SET work_mem = '64kB'",
                                                   "SELECT count(*) FROM (SELECT generate_series(1, 100000) AS i ORDER BY i) AS all_of"], False),
    ("55P03", "a lock that is not to be had in time", ["SET lock_timeout = '50ms'", "INSERT INTO public.locked DEFAULT VALUES"], False),
    ("57014", "a statement that takes too long", ["SET statement_timeout = '50ms'", "SELECT nextval('public.attempts'), pg_sleep(9)"], False),
    ("57P01", "a session that is ended each time", ["SELECT nextval('public.attempts'), pg_terminate_backend(pg_backend_pid(), 0), pg_sleep(9)"], False),
    ("58P01", "a file that is not there", ["SELECT pg_read_file('/nowhere/at/all')"], False),
]

# Urls that PostgreSQL does not let in, which is told at connect; the row, and what is wrong.
NOT_LET_IN = [("28", "user=nobody_we_know", "does not exist"), ("3D000", "dbname=none", "does not exist"),
              ("53300", "user=limited", "too many connections")]

CHAIN = 22


def violation_of(constraint):
    if constraint in NEVER_ALONE:
        return f"DO $$ BEGIN RAISE unique_violation USING CONSTRAINT = '{constraint}'; END $$"
    table, wrong = VIOLATIONS[constraint]
    row = ROWS[table] | wrong
    return f"INSERT INTO runtime_catalog.{table} ({', '.join(row)}) VALUES ({', '.join(row.values())})"


def constraints_of_schema(s):
    return s.cluster.sql(r"""
        SELECT conname FROM pg_constraint
         WHERE connamespace = 'runtime_catalog'::regnamespace AND contype <> 't' AND conparentid = 0
         UNION
        SELECT (regexp_matches(prosrc, 'CONSTRAINT = ''(\w+)', 'g'))[1] COLLATE "C" FROM pg_proc
         WHERE pronamespace = 'runtime_catalog'::regnamespace
         ORDER BY 1""").splitlines()


def prepare(s):
    s.register("example")
    s.register("held")
    s.policy("taken", 'path "x" {}')
    s.plugin("taken", "example")
    s.cluster.sql("""
        INSERT INTO runtime_catalog.namespace (path, parent_id, max_runtimes) VALUES ('here/', 1, NULL), ('full/', 1, 0);
        INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies) VALUES (sha256('taken'), repeat('t', 24), 1, '{p}');
        CREATE SEQUENCE public.attempts;
        CREATE TABLE public.shape (i integer);
        CREATE TABLE public.locked ();
        CREATE TABLE public.holder (n bigint, t text COLLATE "C", r text COLLATE "C",
                                    FOREIGN KEY (n, t, r) REFERENCES runtime_catalog.runtime ON DELETE RESTRICT);
        INSERT INTO public.holder SELECT namespace_id, type, name FROM runtime_catalog.runtime WHERE name = 'held';
        CREATE FUNCTION public.fail(state text) RETURNS boolean LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = state; END $$;
        CREATE ROLE limited LOGIN CONNECTION LIMIT 0""")


def attempts(s):
    """How many there were since the last time, by a sequence, which nothing rolls back."""
    return int(s.cluster.sql("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM public.attempts;"
                             "ALTER SEQUENCE public.attempts RESTART").splitlines()[0])


def check_constraints(s, table, status_of):
    with Driver(s.folder, s.cluster.dsn()) as driver:
        for key in filter(is_constraint, table):
            said = driver.ask(violation_of(key))
            code, _ = table[key]
            s.tap.ok((said.get("code"), said.get("status")) == (code, status_of[code]) and said["text"],
                     f"{key}: {code}, {status_of[code]}", said)


def check_sqlstates(s, table, status_of):
    """By a function that raises them, so that each is refused every time."""
    driver = Driver(s.folder, s.cluster.dsn())
    for key in filter(lambda key: not is_constraint(key), table):
        code, remedy = table[key]
        said = driver.ask(f"SELECT nextval('public.attempts'), public.fail('{OF_CLASS.get(key, key)}')")
        s.tap.ok((said.get("code"), said.get("status")) == (code, status_of[code]), f"{key}: {code}, {status_of[code]}", said)
        s.tap.equal(attempts(s), ATTEMPTS[remedy], f"{key}: {ATTEMPTS[remedy]} attempts")
        if remedy not in ("NONE", "RETRY"): # what it has learnt is for its lifetime
            driver.close()
            driver = Driver(s.folder, s.cluster.dsn())
    driver.close()


def check_provoked(s, table, status_of):
    held = s.cluster.session()
    held.stdin.write("BEGIN; LOCK TABLE public.locked; SELECT 'locked';\n")
    held.stdin.flush()
    held.stdout.readline()
    for sqlstate, name, statements, succeeds in PROVOKED:
        code, remedy = table[key_of(sqlstate)]
        with Driver(s.folder, s.cluster.dsn()) as driver:
            said = [driver.ask(statement) for statement in statements][-1]
            tried = len([line for line in lines_of(driver.log) if f"SQLSTATE {sqlstate}" in line])
        if succeeds:
            s.tap.ok("rows" in said and tried, f"{sqlstate}: {name}: tried again, and done", said)
        else:
            s.tap.ok((said.get("code"), said.get("status")) == (code, status_of[code]) and f"SQLSTATE {sqlstate}" in said["detail"],
                     f"{sqlstate}: {name}: {code}", said)
        if "public.attempts" in statements[-1]:
            s.tap.equal(attempts(s), ATTEMPTS[remedy], f"{sqlstate}: {name}: {ATTEMPTS[remedy]} attempts")
    held.communicate("COMMIT;\n")
    for key, option, like in NOT_LET_IN:
        with Driver(s.folder, f"host={s.cluster.socket} dbname=runtime_catalog user=postgres {option}") as driver:
            said = driver.ask("SELECT 1")
        s.tap.ok(said.get("code") == table[key][0] == "STORAGE_AWAY" and like in said["detail"], f"{key}: {like}", said)


def set_up(s, settings=(), **worker):
    """With settings of the worker's role, and those of the last time gone; new connections have them."""
    s.cluster.sql("ALTER ROLE runtime_catalog_worker RESET ALL")
    for setting in settings:
        s.cluster.sql(f"ALTER ROLE runtime_catalog_worker SET {setting}")
    s.configure_worker(**worker)
    reload(s)
    s.request("GET", CONTAINER + "example")


def reload(s):
    before = said(s, "configuration reloaded")
    s.worker.send_signal(signal.SIGHUP)
    wait_for(lambda: said(s, "configuration reloaded") > before, 20, "the worker has new connections")


def said(s, text, since=0):
    return sum(text in line for line in lines_of(s.worker_log)[since:])


class Held:
    """A session that holds something, and a PUT that waits for it."""

    def __init__(self, s, sql, name="example", cpu_nanos=1):
        self.s, self.session, self.name = s, s.cluster.session(), name
        self.since = len(lines_of(s.worker_log))
        self.say(f"BEGIN; {sql} SELECT 'held';")
        self.session.stdout.readline()
        self.pool = concurrent.futures.ThreadPoolExecutor(1)
        self.asked = self.pool.submit(s.request, "PUT", CONTAINER + name, {"cpu_nanos": cpu_nanos})
        wait_for(lambda: s.lock_waits() == 1, 10, "the PUT waits")

    def say(self, sql):
        self.session.stdin.write(sql + "\n")
        self.session.stdin.flush()

    def commit(self):
        self.session.communicate("COMMIT;\n")

    def answer(self):
        answer = self.asked.result()
        self.pool.shutdown()
        return answer

    def tried_again(self, sqlstate):
        return said(self.s, f"because of SQLSTATE {sqlstate}", self.since)


def lock(name="example"):
    return f"UPDATE runtime_catalog.runtime SET memory_bytes = 7 WHERE name = '{name}';"


def check_chain(s):
    """The same as a client sees it, with what only two sessions can bring about."""
    s.answer("in use by another table: 400", s.request("DELETE", CONTAINER + "held"), 400, like="still in use")

    set_up(s, ["default_transaction_isolation = 'repeatable read'"])
    held = Held(s, lock(), cpu_nanos=11)
    held.commit()
    s.answer("40001, two writers of one row: tried again, and done", held.answer(), 204)
    s.tap.equal(held.tried_again("40001"), 1, "once more was enough")
    s.tap.equal(s.request("GET", CONTAINER + "example").data["cpu_nanos"], 11, "and what was written is there")

    # The PUT has inserted its row and waits for the namespace; we hold that and want the row.
    set_up(s, ["deadlock_timeout = '2s'"])
    held = Held(s, "SET LOCAL deadlock_timeout = '60s'; SELECT FROM runtime_catalog.namespace WHERE id = 1 FOR UPDATE;", "dead", 12)
    held.say("INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1, 'container', 'dead') RETURNING name;")
    wait_for(lambda: held.session.stdout.readline().strip() == "dead", 20, "the deadlock is resolved")
    held.commit()
    s.answer("40P01, a deadlock: tried again, and done", held.answer(), 204)
    s.tap.ok(1 <= held.tried_again("40P01") <= 3, "a few times more", held.tried_again("40P01"))
    s.tap.equal(s.request("GET", CONTAINER + "dead").data["cpu_nanos"], 12, "and what was written is there")

    for sqlstate, setting in (("57014", "statement_timeout = '300ms'"), ("55P03", "lock_timeout = '300ms'")):
        set_up(s, [setting])
        held = Held(s, lock())
        s.answer(f"{sqlstate}, a lock and {setting}: 503", held.answer(), 503, errors=["storage is busy"])
        s.tap.ok(not held.tried_again(sqlstate) and said(s, f"SQLSTATE {sqlstate}", held.since), "not tried again")
        held.commit()

    set_up(s)
    held = Held(s, lock(), cpu_nanos=13)
    s.cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'runtime_catalog_worker' AND wait_event_type = 'Lock'")
    wait_for(lambda: held.tried_again("57P01") and s.lock_waits() == 1, 10, "it is tried again")
    held.commit()
    s.answer("57P01, a session that was ended: tried again on another, and done", held.answer(), 204)
    s.tap.equal(s.request("GET", CONTAINER + "example").data["cpu_nanos"], 13, "and what was written is there")

    check_connections(s)
    check_pauses(s)
    check_lost(s)


def check_connections(s):
    """No more connections than the role may have: who gets none waits for one."""
    s.cluster.sql("ALTER ROLE runtime_catalog_worker CONNECTION LIMIT 3")
    reload(s)
    wait_for(lambda: s.request("GET", CONTAINER + "none").status == 404, 10, "the connections of before are gone")
    with concurrent.futures.ThreadPoolExecutor(24) as clients:
        answers = list(clients.map(lambda _: s.request("GET", CONTAINER + "none").status, range(240)))
    s.tap.equal(set(answers), {404}, "53300, of 9 connections the role may have 3: all are served all the same")
    refused = [line for line in lines_of(s.cluster.log) if "too many connections for role" in line]
    s.tap.ok(refused, "though PostgreSQL refused others")
    s.cluster.sql("ALTER ROLE runtime_catalog_worker CONNECTION LIMIT 0")
    reload(s)
    response = s.request("GET", CONTAINER + "example")
    s.answer("53300, none at all: 503", response, 503, errors=["storage is not available"])
    s.tap.equal(response.header("Retry-After"), "1", "which says when to come again")
    s.cluster.sql("ALTER ROLE runtime_catalog_worker CONNECTION LIMIT -1")
    wait_for(lambda: s.request("GET", CONTAINER + "example").status == 200, 10, "the service is back by itself")


def check_pauses(s):
    """Between two attempts the one connection serves others."""
    s.cluster.sql("CREATE FUNCTION public.curse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                  " IF NEW.name = 'cursed' THEN RAISE EXCEPTION 'cursed' USING ERRCODE = '40001'; END IF; RETURN NEW; END $$;"
                  "CREATE TRIGGER curse BEFORE INSERT ON runtime_catalog.runtime FOR EACH ROW EXECUTE FUNCTION public.curse();"
                  "ALTER TABLE runtime_catalog.runtime ENABLE ALWAYS TRIGGER curse")
    set_up(s, LOG_STATEMENTS, storage="max_connections = 1", **UNCACHED)
    since = len(lines_of(s.cluster.log))
    with concurrent.futures.ThreadPoolExecutor(5) as clients:
        over = []
        readers = [clients.submit(lambda: [s.request("GET", CONTAINER + "example").status for _ in iter(lambda: bool(over), True)])
                   for _ in range(4)]
        cursed = [s.request("PUT", CONTAINER + "cursed", {}) for _ in range(5)]
        over.append(True)
        read = {status for reader in readers for status in reader.result()}
    s.answer("refused each time: 503 in the end", cursed[0], 503, errors=["storage is busy"])
    lines = [line for line in lines_of(s.cluster.log)[since:] if "ERROR:  cursed" in line or "execute runtime_load" in line]
    gaps = [len(gap) for gap in re.findall(r"E(L*)(?=E)", "".join("E" if "ERROR" in line else "L" for line in lines))]
    s.tap.equal(sum("ERROR" in line for line in lines), 20, "after four attempts each")
    s.tap.ok(read == {200} and sum(gap > 0 for gap in gaps) >= 10, "in the pauses between which others are served", read, gaps)


def check_lost(s):
    """A session that is gone without a word: the write may have happened. PostgreSQL starts anew
    when one of its processes is killed."""
    set_up(s)
    held = Held(s, lock())
    victim = s.cluster.sql("SELECT pid FROM pg_stat_activity WHERE usename = 'runtime_catalog_worker' AND wait_event_type = 'Lock'")
    os.kill(int(victim), signal.SIGKILL)
    s.answer("08006, a connection that is lost: 503", held.answer(), 503, errors=["storage is not available"])
    s.tap.ok(not said(s, "attempt 2", held.since), "not tried again")
    held.session.communicate()
    wait_for(lambda: s.request("GET", CONTAINER + "example").status == 200, 20, "the service is back by itself")


TABLE = refusals()
STATES = [key for key in TABLE if not is_constraint(key)]
COUNTED = sum("public.attempts" in statements[-1] for _, _, statements, _ in PROVOKED)
PLAN = 3 + len(TABLE) + len(STATES) + len(PROVOKED) + COUNTED + len(NOT_LET_IN) + CHAIN

with stack(plan=PLAN, bring=bring_driver) as s:
    s.expect("worker", "STORAGE_AWAY")
    s.expect("postgresql", "terminating connection", "role \"nobody_we_know\" does not exist", 'database "none" does not exist',
             "too many connections for role", "the database system is (in recovery mode|not yet accepting|starting up)",
             "FATAL:  on purpose")
    s.tap.equal(sorted(VIOLATIONS.keys() | NEVER_ALONE), sorted(filter(is_constraint, TABLE)), "each constraint of the table is violated here, and no other")
    s.tap.equal(sorted(filter(is_constraint, TABLE)), constraints_of_schema(s), "so is each of the schema, and each that a function names")
    s.tap.ok(len(TABLE) > 60 and {"40001", "40P01", "25006", "53100", "53300", "57014", "57P01", "08", "23001", "23503"} <= TABLE.keys(),
             "the table was understood", TABLE)
    prepare(s)
    check_constraints(s, TABLE, statuses())
    check_sqlstates(s, TABLE, statuses())
    check_provoked(s, TABLE, statuses())
    check_chain(s)
