#!/usr/bin/python3
"""The table of locks in sql/README.md: who waits for whom, and that nobody else does.

One transaction is held open; whoever then gets no lock within a moment would have waited."""
import re
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CHECKOUT, database  # noqa: E402
from tap import Tap  # noqa: E402

NO_LOCK = "55P03"
FREE, LIMITED, BELOW = 1001, 1002, 1003

FIXTURE = f"""
INSERT INTO runtime_catalog.namespace (id, path, parent_id, max_runtimes)
VALUES ({FREE}, 'free/', 1, NULL), ({LIMITED}, 'limited/', 1, 100), ({BELOW}, 'limited/below/', {LIMITED}, NULL);
INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES ({FREE}, 'container', 'r1'), ({FREE}, 'container', 'r2');
INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES ({FREE}, 'p1', ''), ({FREE}, 'p2', '');
INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, parent, uses_left, expires_at)
VALUES (sha256('parent'), repeat('p', 24), {FREE}, '{{root}}', NULL, NULL, NULL), (sha256('child'), repeat('c', 24), {FREE}, '{{root}}', repeat('p', 24), NULL, NULL),
       (sha256('other'), repeat('o', 24), {FREE}, '{{root}}', NULL, NULL, NULL), (sha256('counted'), repeat('u', 24), {FREE}, '{{root}}', NULL, 100, NULL),
       (sha256('counted too'), repeat('v', 24), {FREE}, '{{root}}', NULL, 100, NULL), (sha256('ended'), repeat('e', 24), {FREE}, '{{root}}', NULL, NULL, '2001-01-01');
"""


def ask(token):
    return f"SELECT * FROM runtime_catalog.authenticate(sha256('{token}'), '', 'free/', NULL, 'r', true)"


def register(namespace, name):
    return (f"INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES ({namespace}, 'container', '{name}')"
            " ON CONFLICT (namespace_id, type, name) DO UPDATE SET cpu_nanos = 7")


def remove(name):
    return f"DELETE FROM runtime_catalog.runtime WHERE namespace_id = {FREE} AND name = '{name}'"


def register_plugin(name, runtime):
    return ("INSERT INTO runtime_catalog.plugin (namespace_id, type, name, version, command, sha256, runtime_type, runtime_name)"
            f" VALUES ({FREE}, 'secret', '{name}', '', 'c', sha256(''), 'container', '{runtime}')")


def write_policy(name):
    return (f"INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES ({FREE}, '{name}', 'x')"
            " ON CONFLICT (namespace_id, name) DO UPDATE SET text = excluded.text")


def issue(parent, name):
    return ("INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, parent)"
            f" VALUES (sha256('{name}'), repeat('{name}', 24), {FREE}, '{{root}}', repeat('{parent}', 24))")


def revoke(accessor):
    return f"DELETE FROM runtime_catalog.token WHERE accessor = repeat('{accessor}', 24)"


def limit(namespace):
    return f"UPDATE runtime_catalog.namespace SET max_runtimes = 50 WHERE id = {namespace}"


DELETE_NAMESPACE = f"DELETE FROM runtime_catalog.namespace WHERE id = {BELOW}"
TIDY = "SELECT runtime_catalog.tidy_tokens(100)"
DUMP = "LOCK TABLE ONLY " + ", ".join(f"runtime_catalog.{table}" for table in (
    "namespace", "runtime", "plugin", "policy", "token", "change", "schema_version")) + " IN ACCESS SHARE MODE"
MIGRATION = "LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE"

# The row of the table, what is held, who waits for it, who does not.
HELD = [
    ("a request with a token of limited uses", ask("counted"), [ask("counted")], [ask("counted too"), ask("other")]),
    ("registering a runtime", register(FREE, "r1"), [register(FREE, "r1"), remove("r1")],
     [register_plugin("x", "r1"), limit(FREE), register(FREE, "r2"), register(FREE, "new"), remove("r2"), ask("other"), write_policy("p1"), register(LIMITED, "new")]),
    ("registering a runtime", register(FREE, "new"), [limit(FREE)], [register(FREE, "r1"), register(FREE, "newer"), register_plugin("x", "r1")]),
    ("registering a runtime", register(BELOW, "new"), [register(LIMITED, "x"), register(BELOW, "x"), limit(LIMITED)], [register(FREE, "x")]),
    ("removing a runtime", remove("r1"), [register_plugin("x", "r1"), register(FREE, "r1")], [register_plugin("x", "r2"), register(FREE, "new")]),
    ("registering a plugin", register_plugin("x", "r1"), [remove("r1"), register_plugin("x", "r2")],
     [register(FREE, "r1").replace("DO UPDATE", "DO NOTHING --"), register_plugin("y", "r1"), remove("r2"), ask("other")]),
    ("writing or deleting a policy", write_policy("p1"), [write_policy("p1")], [write_policy("p2"), register(FREE, "r1"), ask("other")]),
    ("issuing a token", issue("p", "n"), [revoke("p")], [issue("p", "m"), ask("parent"), revoke("o")]),
    ("renewing, revoking a token", revoke("p"), [revoke("c"), issue("p", "n"), issue("c", "n")], [revoke("o"), issue("o", "n"), ask("child")]),
    ("tidying", TIDY, [revoke("e")], [TIDY, ask("ended"), revoke("o"), issue("o", "n")]),
    ("deleting a namespace", DELETE_NAMESPACE, [register(BELOW, "x"), limit(BELOW)], [register(FREE, "x"), register(LIMITED, "x")]),
    ("a first `max_runtimes`", limit(FREE), [register(FREE, "x")], [register(LIMITED, "x"), ask("other")]),
    ("a migration", MIGRATION, [MIGRATION], [register(FREE, "r1"), ask("other")]),
    ("`pg_dump`", DUMP, ["LOCK TABLE runtime_catalog.runtime IN ACCESS EXCLUSIVE MODE"],
     [register(FREE, "r1"), remove("r2"), register_plugin("x", "r1"), write_policy("p1"), revoke("p"), TIDY, DELETE_NAMESPACE, limit(FREE), MIGRATION]),
]
READ = "SELECT (SELECT count(*) FROM runtime_catalog.runtime), (SELECT count(*) FROM runtime_catalog.token), (SELECT count(*) FROM runtime_catalog.change)"


def waits(cluster, statement):
    """Whether it would; it is undone. What else is wrong is told."""
    done = cluster.psql("-v", "VERBOSITY=verbose", "-c", f"BEGIN; SET LOCAL lock_timeout = '100ms'; {statement}; ROLLBACK", check=False)
    if done.returncode and NO_LOCK not in done.stderr:
        return done.stderr
    return NO_LOCK in done.stderr


def rows():
    """Of the README's table, what each is about."""
    part = (CHECKOUT / "sql/README.md").read_text().partition("## Locks\n")[2].partition("\n## ")[0]
    return [row for row in re.findall(r"^\| (.*?) \| .* \|$", part, re.M) if row != "what"]


tap = Tap(1 + sum(len(waiting) + len(going_on) + 1 for _, _, waiting, going_on in HELD))
tried = {row for row, *_ in HELD}
tap.equal([row for row in rows() if row not in tried], ["a file in `queries/`"], "each row of the table but the one that names files is tried")
with database() as cluster:
    cluster.sql(FIXTURE)
    for row, held, waiting, going_on in HELD:
        with cluster.session() as holder:
            holder.stdin.write(f"BEGIN; {held}; SELECT 'it is held';\n")
            holder.stdin.flush()
            while "it is held" not in (line := holder.stdout.readline()):
                if not line:
                    raise RuntimeError(f"{row}: nothing is held")
            for statements, wanted in ((waiting, True), ([*going_on, READ], False)):
                for statement in statements:
                    tap.equal(waits(cluster, statement), wanted, f"{row}: {'waits' if wanted else 'goes on'}: {statement}")
            holder.communicate("ROLLBACK;\n")
