#!/usr/bin/python3
"""runtime-catalog: migrating by psql and by the tool gives the same schema, two at once do no
harm, an edited file is refused; status; what token issue and policy write refuse; and what
runtime-catalogd -t says."""
import json
import os
import shutil
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
from cluster import BIN  # noqa: E402
from harness import stack  # noqa: E402

# arguments, standard input, exit status, what standard error or output holds
CASES = [
    ("no subcommand", [], None, 1, "usage"),
    ("an unknown one", ["banana"], None, 1, "usage"),
    ("a flag of another one", ["migrate", "-ttl=1h"], None, 1, "-ttl does not belong to migrate"),
    ("a format that is none", ["status", "-format=xml"], None, 1, "usage"),
    ("two dashes and a space", ["token", "issue", "--policy", "p", "--format", "json"], None, 0, '"token":'),
    ("a token without policy", ["token", "issue"], None, 2, "-policy"),
    ("root and another", ["token", "issue", "-policy=root", "-policy=p"], None, 2, "root must be the only"),
    ("a bad duration", ["token", "issue", "-policy=p", "-ttl=soon"], None, 2, "-ttl"),
    ("a namespace that is not", ["token", "issue", "-policy=p", "-namespace=absent"], None, 2, "absent/"),
    ("a field that is not", ["token", "issue", "-policy=p", "-field=x"], None, 2, "field \"x\""),
    ("a policy", ["policy", "write", "Upper", "-"], 'path "a" { capabilities = ["read"] }', 0, "upper"),
    ("one that does not parse", ["policy", "write", "bad", "-"], 'path "a" {\n capabilities = [\n', 2, "failed to parse policy: At 3:"),
    ("a capability that is none", ["policy", "write", "bad", "-"], 'path "a" { capabilities = ["fly"] }', 2, "invalid capability \"fly\""),
    ("the root policy", ["policy", "write", "root", "-"], "x", 2, "cannot update \"root\" policy"),
    ("an empty policy", ["policy", "write", "empty", "-"], "", 2, "bytes"),
    ("a file that is not", ["policy", "write", "p", "/nowhere"], None, 2, "/nowhere"),
]


def run(s, *arguments, text=None, dsn=None):
    done = subprocess.run([s.folder / "bin/runtime-catalog", *arguments], input=text or "", text=True, capture_output=True,
                          check=False, env=os.environ | {"RUNTIME_CATALOG_DSN": dsn or s.cluster.dsn()})
    return done.returncode, done.stdout + done.stderr


def database(s, name):
    subprocess.run([BIN / "createdb", "-h", s.cluster.socket, "-U", "postgres", name], check=True)
    return s.cluster.dsn().replace("dbname=runtime_catalog", f"dbname={name}")


def dump(dsn):
    text = subprocess.run([BIN / "pg_dump", "-s", "-n", "runtime_catalog", "-d", dsn], check=True, text=True,
                          capture_output=True).stdout
    return [line for line in text.splitlines() if not line.startswith("\\")]  # \restrict and its random key


with stack(plan=2 * len(CASES) + 14) as s:
    for name, arguments, text, status, like in CASES:
        got, output = run(s, *arguments, text=text)
        s.tap.equal(got, status, name)
        s.tap.ok(like in output, f"{name}: {like}", output)

    directory = f"-migrations={s.folder / 'sql/migrations'}"
    s.tap.equal(run(s, "status", directory)[0], 0, "a migrated schema is current")

    # psql alone
    dsn = database(s, "by_psql")
    for file in [s.folder / "sql/roles.sql", *sorted((s.folder / "sql/migrations").glob("*.sql"))]:
        subprocess.run([BIN / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-f", file], check=True)
    s.tap.ok(dump(dsn) == dump(s.cluster.dsn()), "psql and the tool make the same schema")
    status, output = run(s, "migrate", directory, dsn=dsn)
    s.tap.ok(status == 0 and "Nothing to do" in output, "after psql there is nothing left to migrate", output)
    unsigned = subprocess.run([BIN / "psql", "-XqAt", "-d", dsn, "-c",
                               "SELECT count(*) FROM runtime_catalog.schema_version WHERE checksum IS NULL"],
                              check=True, text=True, capture_output=True).stdout
    s.tap.equal(unsigned.strip(), "0", "but the checksums are stored")

    # two at once
    dsn = database(s, "at_once")
    subprocess.run([BIN / "psql", "-Xq", "-d", dsn, "-f", s.folder / "sql/roles.sql"], check=True)
    s.expect("postgresql", "already exists", "schema_version_pkey", "current transaction is aborted")
    both = [subprocess.Popen([s.folder / "bin/runtime-catalog", "migrate", directory], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, env=os.environ | {"RUNTIME_CATALOG_DSN": dsn}) for _ in range(2)]
    s.tap.ok(0 in [child.wait(60) for child in both], "of two migrations at once one gets through")
    s.tap.equal(run(s, "status", directory, dsn=dsn)[0], 0, "and the schema is whole")

    # an edited file
    edited = s.folder / "edited"
    shutil.copytree(s.folder / "sql/migrations", edited)
    with open(edited / "0004_runtime.sql", "a", encoding="utf-8") as file:
        file.write("-- edited\n")
    status, output = run(s, "migrate", f"-migrations={edited}")
    s.tap.ok(status == 2 and "0004_runtime.sql was edited after it ran" in output, "an edited file is refused", output)
    status, output = run(s, "status", f"-migrations={edited}", "-format=json")
    states = {row["name"]: row["state"] for row in json.loads(output[:output.rindex("]") + 1])}
    s.tap.equal((status, states["runtime"], states["plugin"]), (2, "edited", "applied"), "and status shows it")

    # runtime-catalogd -t
    def test():
        done = subprocess.run([s.folder / "bin/runtime-catalogd", "-t", "-c", s.folder / "worker.conf"], text=True,
                              capture_output=True, check=False)
        return done.returncode, done.stderr

    status, output = test()
    s.tap.ok(status == 0, "-t finds nothing wrong", output)
    s.cluster.sql("INSERT INTO runtime_catalog.policy (namespace_id, name, text) "
                  "SELECT id, 'broken', 'path' FROM runtime_catalog.namespace")
    status, output = test()
    s.tap.ok(status == 1 and 'policy "broken" does not compile' in output, "a stored policy that does not compile", output)
    s.cluster.sql("DELETE FROM runtime_catalog.policy WHERE name = 'broken'")
    s.cluster.sql("ALTER TABLE runtime_catalog.runtime DISABLE TRIGGER runtime_records")
    status, output = test()
    s.tap.ok(status == 1 and "triggers" in output, "a trigger that is off", output)
    s.cluster.sql("ALTER TABLE runtime_catalog.runtime ENABLE ALWAYS TRIGGER runtime_records")
    s.cluster.sql("INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker) VALUES (99, 'later', '99.0.0')")
    status, output = test()
    s.tap.ok(status == 1 and "too new" in output, "a schema that is too new", output)
    s.cluster.sql("DELETE FROM runtime_catalog.schema_version WHERE version IN (8, 99)")
    status, output = test()
    s.tap.ok(status == 1 and "too old" in output, "a schema that is too old", output)
    s.cluster.sql("INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker) VALUES (8, 'authenticate', '0.1.0')")
    s.tap.equal(test()[0], 0, "and good again")
