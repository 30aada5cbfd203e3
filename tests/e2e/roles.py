#!/usr/bin/python3
"""What nobody may do with the catalog's database, tried on connections of their own: by the worker,
by people who are operators, readers or owners, and by a stranger. And what whoever holds the worker's
connection may do, as sql/README.md has it. Rights on tables: tests/sql/privileges.sql.
"""
import re
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
from cluster import BIN  # noqa: E402
from harness import database  # noqa: E402
from tap import Tap  # noqa: E402

ROLES = {"worker": "runtime_catalog_worker", "operator": "person_operator", "reader": "person_reader",
         "owner": "person_owner", "stranger": "person_stranger"}
ALL = tuple(ROLES)
NOT_OWNER = ("worker", "operator", "reader", "stranger")
NOT_WORKER = ("operator", "reader", "stranger")
REFUSED = "42501"

FIXTURE = """
CREATE ROLE person_operator LOGIN IN ROLE runtime_catalog_operator;
CREATE ROLE person_reader   LOGIN IN ROLE runtime_catalog_reader;
CREATE ROLE person_owner    LOGIN IN ROLE runtime_catalog_owner;
CREATE ROLE person_stranger LOGIN;
INSERT INTO runtime_catalog.namespace (id, path, parent_id) VALUES (1001, 'team-a/', 1), (1002, 'team-b/', 1);
INSERT INTO runtime_catalog.runtime (namespace_id, type, name)
VALUES (1001, 'container', 'a1'), (1001, 'container', 'a2'), (1002, 'container', 'b1');
INSERT INTO runtime_catalog.plugin (namespace_id, type, name, env) VALUES (1001, 'secret', 'p', '{A=b}');
INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1001, 'p', ''), (1002, 'p', '');
INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, expires_at)
VALUES (sha256('a'), repeat('a', 24), 1001, '{p}', NULL), (sha256('root'), repeat('r', 24), 1, '{root}', NULL),
       (sha256('ended'), repeat('e', 24), 1001, '{root}', '2001-01-01');
GRANT CREATE ON SCHEMA public TO PUBLIC; -- as it was before PostgreSQL 15, and stays when a cluster is upgraded
ANALYZE;
"""

AUTHENTICATE = "SELECT * FROM runtime_catalog.authenticate(sha256('%s'), '', 'team-a/', NULL, 'r', false)"
CONTEXT = "SELECT set_config('runtime_catalog.namespace_id', '%s', true); "

# Who tries, statements, and what comes of it: the SQLSTATE of the first that fails, or the rows of the last.

BECOME_SOMEBODY_ELSE = [
    (NOT_OWNER, "SET ROLE runtime_catalog_owner", REFUSED),
    (ALL, "SET ROLE postgres", REFUSED),
    (ALL, "SET SESSION AUTHORIZATION postgres", REFUSED),
    (("worker", "reader", "stranger"), "SET ROLE runtime_catalog_operator", REFUSED),
    (("worker", "operator", "stranger"), "SET ROLE runtime_catalog_reader", REFUSED),
    (NOT_WORKER, "SET ROLE runtime_catalog_worker", REFUSED),
    (ALL, "GRANT runtime_catalog_owner TO CURRENT_USER", REFUSED),
    (ALL, "GRANT pg_read_all_data TO CURRENT_USER", REFUSED),
    (ALL, "ALTER ROLE CURRENT_USER SUPERUSER", REFUSED),
    (ALL, "ALTER ROLE CURRENT_USER BYPASSRLS", REFUSED),
    (ALL, "ALTER ROLE CURRENT_USER CREATEROLE", REFUSED),
    (ALL, "ALTER ROLE runtime_catalog_owner LOGIN", REFUSED),
    (NOT_WORKER, "ALTER ROLE runtime_catalog_worker PASSWORD 'x'", REFUSED),
    (NOT_WORKER, "ALTER ROLE runtime_catalog_worker SET search_path = public", REFUSED),
    (ALL, "CREATE ROLE mine", REFUSED),
    (ALL, "DROP ROLE runtime_catalog_reader", REFUSED),
]

CHANGE_THE_SCHEMA = [
    (NOT_OWNER, statement, REFUSED) for statement in [
        "CREATE SCHEMA mine",
        "CREATE TABLE runtime_catalog.mine ()",
        "CREATE VIEW runtime_catalog.mine AS SELECT 1",
        "CREATE FUNCTION runtime_catalog.mine() RETURNS void LANGUAGE sql AS ''",
        "CREATE OR REPLACE FUNCTION runtime_catalog.token_is_live(accessor text) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "ALTER FUNCTION runtime_catalog.forget() SECURITY INVOKER",
        "DROP FUNCTION runtime_catalog.forget()",
        "CREATE INDEX ON runtime_catalog.runtime (name)",
        "CREATE TRIGGER mine BEFORE INSERT ON runtime_catalog.runtime FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "ALTER TABLE runtime_catalog.runtime DISABLE TRIGGER runtime_records",
        "ALTER TABLE runtime_catalog.runtime DISABLE TRIGGER ALL",
        "DROP TRIGGER runtime_records ON runtime_catalog.runtime",
        "ALTER TABLE runtime_catalog.runtime DISABLE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON runtime_catalog.runtime USING (true)",
        "ALTER POLICY runtime_worker ON runtime_catalog.runtime USING (true)",
        "DROP POLICY runtime_worker ON runtime_catalog.runtime",
        "CREATE RULE mine AS ON DELETE TO runtime_catalog.runtime DO INSTEAD NOTHING",
        "ALTER TABLE runtime_catalog.token ADD COLUMN mine text",
        "ALTER TABLE runtime_catalog.token DROP CONSTRAINT token_hash_check",
        "ALTER TABLE runtime_catalog.token OWNER TO CURRENT_USER",
        "ALTER SCHEMA runtime_catalog RENAME TO mine",
        "DROP TABLE runtime_catalog.change",
        "TRUNCATE runtime_catalog.change",
        "COMMENT ON TABLE runtime_catalog.runtime IS ''",
        "ALTER DEFAULT PRIVILEGES FOR ROLE runtime_catalog_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
        "CREATE EXTENSION hstore SCHEMA public",
    ]
] + [
    (("worker", "stranger"), "GRANT SELECT ON runtime_catalog.change TO person_stranger", REFUSED),
    (("operator", "reader"), "GRANT SELECT ON runtime_catalog.change TO person_stranger;"
                             " SELECT WHERE has_table_privilege('person_stranger', 'runtime_catalog.change', 'SELECT')", 0),
    (("owner",), "CREATE TABLE runtime_catalog.mine ()", 0), # what a migration does
    (("owner",), "SET ROLE runtime_catalog_owner", 0),
]

LEAVE_THE_DATABASE = [
    (ALL, statement, REFUSED) for statement in [
        "CREATE DATABASE mine",
        "ALTER SYSTEM SET log_statement = 'all'",
        "SET session_replication_role = replica",
        "SET log_min_messages = 'fatal'",
        "COPY runtime_catalog.schema_version TO '/tmp/runtime-catalog-roles'",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "CREATE TEMPORARY TABLE lines (line text); COPY lines FROM '/etc/passwd'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('.')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_export(1, '/tmp/runtime-catalog-roles')",
        "LOAD '/tmp/runtime-catalog-roles.so'",
        "CREATE FUNCTION pg_temp.mine() RETURNS void LANGUAGE c AS 'x', 'y'",
        "CREATE FUNCTION pg_temp.mine(internal) RETURNS void LANGUAGE internal AS 'pg_stat_reset'",
        "CREATE EXTENSION dblink SCHEMA public",
        "CREATE FOREIGN DATA WRAPPER mine",
        "CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE SUBSCRIPTION mine CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false)",
        "CREATE TABLESPACE mine LOCATION '/tmp'",
        "SELECT pg_create_physical_replication_slot('mine')",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
        "SELECT pg_reload_conf()",
        "SELECT pg_switch_wal()",
        "SELECT * FROM pg_authid",
        "SELECT * FROM pg_hba_file_rules",
        "SELECT * FROM pg_statistic",
    ]
] + [
    (NOT_OWNER, "CREATE PUBLICATION mine", REFUSED),
    (ALL, "PREPARE TRANSACTION 'mine'", "55000"),
    (ALL, "SELECT FROM pg_stat_activity WHERE usename = 'postgres' AND query <> '<insufficient privilege>'", 0),
]

HASHES = [
    (NOT_OWNER, statement, REFUSED) for statement in [
        "SELECT hash FROM runtime_catalog.token",
        "TABLE runtime_catalog.token",
        "COPY runtime_catalog.token TO STDOUT",
        "EXPLAIN SELECT hash FROM runtime_catalog.token",
        "SELECT row_to_json(token) FROM runtime_catalog.token",
        "SELECT FROM runtime_catalog.token WHERE hash = sha256('a')",
        "SELECT FROM runtime_catalog.token ORDER BY hash",
        "SELECT count(*) FROM runtime_catalog.token GROUP BY hash",
        "CREATE TEMPORARY VIEW mine AS SELECT hash FROM runtime_catalog.token; SELECT * FROM mine",
        "CREATE FUNCTION pg_temp.mine() RETURNS SETOF bytea LANGUAGE sql SECURITY DEFINER AS 'SELECT hash FROM runtime_catalog.token';"
        " SELECT pg_temp.mine()",
        "DELETE FROM runtime_catalog.token WHERE hash = sha256('a')",
        "DELETE FROM runtime_catalog.token RETURNING hash",
        "UPDATE runtime_catalog.token SET parent = NULL RETURNING hash",
        "UPDATE runtime_catalog.token SET parent = encode(hash, 'base64')",
        "UPDATE runtime_catalog.token SET hash = sha256('mine')",
        "INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies) VALUES (sha256('a'), repeat('x', 24), 1001, '{}')"
        " ON CONFLICT (hash) DO UPDATE SET parent = NULL",
        "INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies) VALUES (sha256('x'), repeat('x', 24), 1001, '{}')"
        " RETURNING hash",
    ]
] + [
    (NOT_OWNER, "SELECT FROM pg_stats WHERE schemaname = 'runtime_catalog' AND tablename = 'token' AND attname = 'hash'", 0),
    (("operator", "reader"), "SELECT FROM runtime_catalog.change WHERE coalesce(old, '{}') ? 'hash' OR coalesce(new, '{}') ? 'hash'", 0),
    (("operator", "reader"), "SELECT FROM runtime_catalog.change WHERE table_name = 'token'", 3),
    (NOT_OWNER, "TABLE runtime_catalog.audit_salt", REFUSED),
    (NOT_OWNER, "UPDATE runtime_catalog.audit_salt SET salt = repeat('x', 32)", REFUSED),
    (("reader", "stranger"), "SELECT runtime_catalog.audit_salt()", REFUSED),
    (("worker",), "INSERT INTO runtime_catalog.plugin (namespace_id, type, name) VALUES (1001, 'secret', 'q') RETURNING env", REFUSED),
    (("worker",), "UPDATE runtime_catalog.plugin SET command = env[1]", REFUSED),
    (("worker",), "INSERT INTO runtime_catalog.plugin AS plugin (namespace_id, type, name) VALUES (1001, 'secret', 'p')"
                  " ON CONFLICT (namespace_id, type, name, version) DO UPDATE SET args = plugin.env", REFUSED),
]

HISTORY = [
    (NOT_OWNER, "INSERT INTO runtime_catalog.change (table_name, operation, role_name) VALUES ('token', 'delete', 'postgres')", REFUSED),
    (NOT_OWNER, "UPDATE runtime_catalog.change SET role_name = 'postgres'", REFUSED),
    (NOT_OWNER, "DELETE FROM runtime_catalog.change", REFUSED),
    (NOT_OWNER, "SELECT setval('runtime_catalog.change_id_seq', 1)", REFUSED),
    (NOT_OWNER, "SELECT nextval('runtime_catalog.change_id_seq')", REFUSED),
    (NOT_OWNER, "CREATE TEMPORARY TABLE token (accessor text, namespace_id bigint); CREATE TRIGGER forged AFTER INSERT ON pg_temp.token"
                " FOR EACH ROW EXECUTE FUNCTION runtime_catalog.record_change('accessor')", REFUSED),
    (NOT_OWNER, "SELECT runtime_catalog.record_change()", REFUSED),
    (NOT_OWNER, "INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker) VALUES (99, 'x', '0.1.0')", REFUSED),
    # What is said of the token may be forged in psql; who did it may not.
    (("operator",), "SET LOCAL runtime_catalog.accessor = 'forged'; INSERT INTO runtime_catalog.policy (namespace_id, name, text)"
                    " VALUES (1001, 'x', ''); SELECT FROM runtime_catalog.change WHERE accessor = 'forged' AND role_name = 'person_operator'", 1),
    (("operator",), "SET LOCAL ROLE runtime_catalog_operator; INSERT INTO runtime_catalog.policy (namespace_id, name, text)"
                    " VALUES (1001, 'x', ''); SELECT FROM runtime_catalog.change WHERE key = '{\"name\": \"x\"}' AND role_name = 'person_operator'", 1),
]

# Names of their own in place of the catalog's: functions look for theirs elsewhere.
SHADOWS = [
    (("worker",), "SET LOCAL search_path = public, pg_catalog; CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql"
                  " AS 'SELECT ''-infinity''::timestamptz'; " + AUTHENTICATE % "ended", 0),
    (("worker",), "CREATE TEMPORARY TABLE token (hash bytea, accessor text, namespace_id bigint, policies text[], parent text, expires_at timestamptz,"
                  " uses_left integer, bound_cidrs cidr[]); INSERT INTO token VALUES (sha256('mine'), 'mine', 1, '{root}'); SET LOCAL search_path = pg_temp; "
                  + AUTHENTICATE % "mine", 0),
    (("worker",), "CREATE FUNCTION public.equal(bytea, bytea) RETURNS boolean LANGUAGE sql AS 'SELECT true'; CREATE OPERATOR public.="
                  " (FUNCTION = public.equal, LEFTARG = bytea, RIGHTARG = bytea); SET LOCAL search_path = public, pg_catalog; "
                  + AUTHENTICATE % "mine", 0),
    (("worker",), "SET LOCAL search_path = public, pg_catalog; CREATE FUNCTION public.current_setting(text, boolean) RETURNS text LANGUAGE sql AS 'SELECT ''1002'''; "
                  "SELECT * FROM runtime_catalog.runtime", 0),
    # Row-level security comes before what a function of one's own might tell of a row.
    (("worker",), CONTEXT % 1002 + "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean COST 0.0001 LANGUAGE plpgsql AS"
                  " 'BEGIN RAISE EXCEPTION ''%'', $1; END'; SELECT * FROM runtime_catalog.runtime WHERE pg_temp.leak(name) AND namespace_id = 1001", 0),
    (("worker",), CONTEXT % 1002 + "SELECT * FROM runtime_catalog.runtime WHERE 1 / (CASE name WHEN 'a1' THEN 0 ELSE 1 END) > 0", 1),
    (("worker",), CONTEXT % 1002 + "CREATE TEMPORARY VIEW mine AS SELECT * FROM runtime_catalog.runtime; SELECT * FROM mine", 1),
    (("worker", "operator", "reader"), "SET LOCAL row_security = off; SELECT * FROM runtime_catalog.runtime", REFUSED),
    (("worker",), CONTEXT % 1001 + "COPY runtime_catalog.runtime FROM STDIN", "0A000"),
]

# What a tenant's statement does not reach, and what whoever may type any statement does: the context is the worker's to set.
WORKER = [
    (("worker",), "SELECT * FROM runtime_catalog.runtime", 0),
    (("worker",), AUTHENTICATE % "a" + "; SELECT * FROM runtime_catalog.runtime", 2),
    (("worker",), AUTHENTICATE % "a" + "; SELECT * FROM runtime_catalog.runtime WHERE namespace_id = 1002", 0),
    (("worker",), AUTHENTICATE % "ended" + "; SELECT * FROM runtime_catalog.runtime", 0),
    (("worker",), CONTEXT % 1001 + AUTHENTICATE % "ended" + "; SELECT * FROM runtime_catalog.runtime", 0),
    (("worker",), CONTEXT % 1002 + "SELECT * FROM runtime_catalog.runtime", 1),
    (("worker",), CONTEXT % 1002 + "UPDATE runtime_catalog.policy SET text = 'x'", 1),
    (("worker",), "SELECT runtime_catalog.list_accessors(1)", 1),
    (("worker",), "SELECT runtime_catalog.audit_salt()", 1),
    (("worker",), "SELECT runtime_catalog.create_token(1, repeat('r', 24), sha256('x'), repeat('x', 24), '[\"root\"]', true, 'p', 'd', NULL,"
                  " true, 0, 0, 0, 0)", 1),
    (("worker",), "SELECT runtime_catalog.revoke_token(1, NULL, NULL, repeat('r', 24), false)", 1),
    (("worker",), "SELECT set_config('runtime_catalog.accessor', 'forged', true); " + CONTEXT % 1001 + "UPDATE runtime_catalog.runtime SET cpu_nanos = 1", 2),
    (("worker",), "SET statement_timeout = 0; SET lock_timeout = 0", 0),
    (("worker",), "ALTER ROLE CURRENT_USER SET statement_timeout = 0", 0),
    (("worker",), "ALTER ROLE CURRENT_USER PASSWORD 'x'", 0),
    (("worker",), "LOCK TABLE runtime_catalog.runtime IN ACCESS EXCLUSIVE MODE", 0),
    (("worker",), "LOCK TABLE runtime_catalog.token IN ACCESS SHARE MODE", REFUSED),
    (("worker",), "LOCK TABLE runtime_catalog.namespace IN ACCESS SHARE MODE", REFUSED),
    (("operator", "reader"), "LOCK TABLE runtime_catalog.runtime IN ROW SHARE MODE", REFUSED),
]

# What PUBLIC may in any database unless its owner takes it away, and sql/README.md names.
PUBLIC = [
    (ALL, "CREATE TEMPORARY TABLE mine ()", 0),
    (ALL, "CREATE FUNCTION pg_temp.mine() RETURNS void LANGUAGE sql AS ''", 0),
    (ALL, "SELECT lo_create(0)", 1),
    (ALL, "LISTEN mine", 0),
    (ALL, "NOTIFY mine", 0),
    (ALL, "SELECT pg_advisory_xact_lock(1)", 1),
]

GROUPS = {"become somebody else": BECOME_SOMEBODY_ELSE, "change the schema": CHANGE_THE_SCHEMA, "leave the database": LEAVE_THE_DATABASE,
          "read hashes and secrets": HASHES, "forge history": HISTORY, "shadow names": SHADOWS, "the worker's own": WORKER, "what PUBLIC may": PUBLIC}
# PostgreSQL does not look further than that these stand in a transaction.
NOT_IN_A_TRANSACTION = re.compile(r"CREATE (DATABASE|TABLESPACE)|ALTER SYSTEM")


class Session:
    """A psql of a role's own, in which every attempt is undone."""

    def __init__(self, cluster, role):
        self.psql = subprocess.Popen([BIN / "psql", "-XqAt", "-v", "VERBOSITY=verbose", "-d", cluster.dsn(ROLES[role])], stdin=subprocess.PIPE, text=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def attempt(self, statements):
        """What comes of it, and all that psql said."""
        around = ("", "") if NOT_IN_A_TRANSACTION.match(statements) else ("BEGIN;\n", "ROLLBACK;\n")
        end = "\\.\n" if statements.endswith("FROM STDIN") else ""
        self.psql.stdin.write(f"{around[0]}{statements};\n{end}\\echo rows: :ROW_COUNT\n{around[1]}")
        self.psql.stdin.flush()
        said = ""
        while not (rows := re.search(r"^rows: (\d+)$", said, re.M)):
            said += self.psql.stdout.readline()
        error = re.search(r"^ERROR:  (\w{5}):", said, re.M)
        return error[1] if error else int(rows[1]), said

    def close(self):
        self.psql.communicate()


with database() as cluster:
    tried = [(role, statements, expected) for group in GROUPS.values() for roles, statements, expected in group for role in roles]
    tap = Tap(len(tried) + 2)
    cluster.sql(FIXTURE)
    before = cluster.sql("SELECT count(*) FROM runtime_catalog.change")
    sessions = {role: Session(cluster, role) for role in ROLES}
    for role, statements, expected in tried:
        got, said = sessions[role].attempt(statements)
        tap.ok(got == expected, f"{role}: {statements}: {expected}", f"got {got}", said)
    for session in sessions.values():
        session.close()
    tap.equal(cluster.sql("SELECT count(*) FROM runtime_catalog.change"), before, "nothing is left of all this")
    tap.equal(cluster.sql("SELECT count(*) FROM pg_roles WHERE rolsuper OR rolbypassrls"), "1", "and nobody has become more than they were")
sys.exit(tap.exit_status())
