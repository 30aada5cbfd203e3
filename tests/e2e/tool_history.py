#!/usr/bin/python3
"""runtime-catalog history: each filter, both formats, whoever made the change; as those who may
read and as those who may not; in memory that does not grow with the history."""
import json
import os
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CONTAINER, stack  # noqa: E402
from cluster import lines_of  # noqa: E402

COLUMNS = ["id", "xid", "changed_at", "table_name", "operation", "namespace_path", "key", "old", "new", "accessor",
           "request_id", "role_name"]
MANY = 3000

# Flags, and what the rows are: operation, table and the key's values, newest first. {a} is the
# accessor of the token that wrote over the API, {id} the id of its last request.
FILTERS = [
    (["-accessor={a}"], ["delete runtime one container", "update runtime one container", "insert runtime one container"]),
    (["-accessor=nobody"], []),
    (["-request-id={id}"], ["delete runtime one container"]),
    (["-role=runtime_catalog_worker"], ["delete runtime one container", "update runtime one container", "insert runtime one container"]),
    (["-role=postgres", "-table=runtime"], ["update runtime two container", "insert runtime two container", "truncate runtime"]),
    (["-table=runtime", "-name=two"], ["update runtime two container", "insert runtime two container"]),
    (["-table=plugin"], ["insert plugin p secret v1", "truncate plugin"]),
    (["-name=p"], ["insert plugin p secret v1", "insert policy p"]),
    (["-table=token", "-name={a}"], ["insert token {a}"]),
    (["-table=namespace", "-name=gone"], ["delete namespace gone/", "insert namespace gone/"]),
    (["-table=namespace", "-name=gone/"], ["delete namespace gone/", "insert namespace gone/"]),
    (["-namespace=gone"], ["delete namespace gone/", "delete policy q", "insert policy q", "insert namespace gone/"]),
    (["-namespace=", "-table=policy"], ["insert policy p"]),
    (["-namespace=gone", "-table=policy", "-limit=1"], ["delete policy q"]),
    (["-table=change", "-limit=1"], ["forget change"]),
    (["-since=1h", "-name=two"], ["update runtime two container", "insert runtime two container"]),
    (["-until=1h", "-name=two"], []),
    (["-since=2100-01-01"], []),
    (["-until=2000-01-01T00:00:00Z"], []),
    (["-since=2000-01-01T00:00:00", "-name=two"], ["update runtime two container", "insert runtime two container"]),
    (["-since=2000-01-01 00:00:00.5+02:00", "-until=2100-12-31", "-name=two", "-limit=0"],
     ["update runtime two container", "insert runtime two container"]),
]

# Wrong usage, and what is said.
MOMENT = "2026-11-28, 2026-11-28T16:00:00Z, or a duration ago"
WRONG = [(flag, like) for like, flags in {
    MOMENT: ["-since=", "-since=soon", "-since=2026-13-01", "-since=2026-02-30", "-since=2026-1-1", "-since=0000-01-01",
             "-since=2026-11-28T25:00:00", "-since=2026-11-28T10:00", "-since=2026-11-28T10:00:00X",
             "-until=2026-11-28Z", "-until=2026-11-28T10:00:00+99:00", "-until=2026-11-28T10:00:00+01", "-until=-1h"],
    "-table: namespace, runtime": ["-table=tokens", "-table=schema_version"],
    "-limit: a number": ["-limit=-1", "-limit=x"],
    "does not belong": ["-field=key"],
    "one argument too many": ["everything"]}.items() for flag in flags]

# What goes into the terminal's table, line by line: -name, and what the line has.
TABLE = [
    ("two", "role postgres", "the role, where there is no accessor"),
    ("two", "runtime container/two", "what the row is about"),
    ("two", "cpu_nanos: 0 -> 7", "what an update changed"),
    ("p", "plugin secret/p/v1", "a plugin with its version"),
    ("gone", "/gone/", "the path of a namespace that is gone"),
]


def history(s, *flags, role="postgres"):
    done = subprocess.run([s.folder / "bin/runtime-catalog", "history", *flags], capture_output=True, text=True,
                          check=False, env=os.environ | {"RUNTIME_CATALOG_DSN": s.cluster.dsn(role)})
    return done.returncode, done.stdout, done.stderr


def summary(output):
    return [" ".join([row["operation"], row["table_name"], *(row["key"] or {}).values()]) for row in json.loads(output)]


def prepare(s):
    """Changes of every table, by the API, the tool and psql. Returns what FILTERS has in braces."""
    s.cluster.sql("TRUNCATE runtime_catalog.runtime CASCADE")
    s.tool("namespace", "create", "gone")
    s.policy("q", 'path "x" { capabilities = ["read"] }', "-namespace=gone")
    s.tool("policy", "delete", "-namespace=gone", "q")
    s.tool("namespace", "delete", "gone")
    s.policy("p", 'path "x" { capabilities = ["read"] }')
    issued = json.loads(s.tool("token", "issue", "-policy=root", "-format=json").stdout)
    issued = issued.get("auth", issued)
    token = issued.get("token", issued.get("client_token"))
    s.secrets.append(token)
    s.cluster.sql("INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1, 'container', 'two')")
    s.cluster.sql("UPDATE runtime_catalog.runtime SET cpu_nanos = 7")
    s.cluster.sql("INSERT INTO runtime_catalog.plugin (namespace_id, type, name, version, env)"
                  " VALUES (1, 'secret', 'p', 'v1', '{A=b}')")
    s.cluster.sql("SELECT runtime_catalog.forget()")
    for method, body in (("POST", {}), ("POST", {"cpu_nanos": 5}), ("DELETE", None)):
        s.answer(method, s.request(method, CONTAINER + "one", body, token=token), 204)
    line = [line for line in lines_of(s.access_log) if f'"DELETE {CONTAINER}one ' in line][-1]
    return {"a": issued["token_accessor"], "id": line.split("request_id=")[1]}, token


def filled(texts, known):
    return [text.replace("{a}", known["a"]).replace("{id}", known["id"]) for text in texts]


def peak(s, *flags):
    """The lines that it prints and the most memory that it has, in KiB. Under a sanitizer what is
    freed is kept for a while, which is kept short here."""
    environment = os.environ | {"RUNTIME_CATALOG_DSN": s.cluster.dsn(), "ASAN_OPTIONS": "quarantine_size_mb=1"}
    with subprocess.Popen([s.folder / "bin/runtime-catalog", "history", *flags], stdout=subprocess.PIPE,
                          env=environment) as child:
        lines = sum(1 for _ in child.stdout)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return lines, usage.ru_maxrss


with stack(plan=3 + 2 * len(FILTERS) + len(WRONG) + len(TABLE) + 18) as s:
    known, token = prepare(s)

    for flags, expected in FILTERS:
        status, output, errors = history(s, "-format=json", *filled(flags, known))
        s.tap.equal(status, 0, " ".join(flags))
        s.tap.equal(summary(output) if status == 0 else errors, filled(expected, known), f"{' '.join(flags)}: the rows")
    for flag, like in WRONG:
        status, _, errors = history(s, flag)
        s.tap.ok(status == 1 and like in errors, f"{flag} is wrong usage: {like}", status, errors)
    for name, like, what in TABLE:
        _, output, _ = history(s, f"-name={name}")
        s.tap.ok(like in output, f"a table shows {what}: {like}", output)

    status, output, errors = history(s, "-namespace=never")
    s.tap.ok(status == 2 and 'there was never a namespace "never/"' in errors, "a namespace that never was", errors)
    _, output, _ = history(s, "-name=nothing")
    s.tap.equal([line.split() for line in output.splitlines()][:1], [["Time", "Who", "Namespace", "What", "Operation", "Request", "ID", "Changes"]],
                "a table of nothing has its heading")
    _, output, _ = history(s, "-format=json", "-limit=0")
    rows = json.loads(output)
    s.tap.equal(list(rows[0]), COLUMNS, "JSON has these keys")
    s.tap.equal([row["id"] for row in rows], [int(row) for row in s.cluster.sql(
        "SELECT id FROM runtime_catalog.change ORDER BY id DESC").splitlines()], "and with -limit=0 all that there is, newest first")
    s.tap.equal(len(output.splitlines()), len(rows) + 2, "a line a row")
    row = next(row for row in rows if row["operation"] == "update" and row["accessor"] == known["a"])
    s.tap.equal((row["old"]["cpu_nanos"], row["new"]["cpu_nanos"], row["role_name"]), (0, 5, "runtime_catalog_worker"),
                "a row has both images")
    s.tap.ok(token not in output and '"hash"' not in output, "and never a token or its hash")

    # Who may: nothing more is needed than these two roles have. A name that a terminal would obey.
    s.cluster.sql("INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1, 'esc', '')")
    s.cluster.sql("UPDATE runtime_catalog.policy SET text = E'\\u009b2J' WHERE name = 'esc'")
    _, output, _ = history(s, "-name=esc")
    s.tap.ok("\u009b" not in output and "text:" in output, "control characters do not reach a terminal", output)
    for role in ("reader", "operator"):
        s.cluster.sql(f"CREATE ROLE a_{role} LOGIN IN ROLE runtime_catalog_{role}")
        status, output, errors = history(s, "-namespace=gone", role=f"a_{role}")
        s.tap.ok(status == 0 and "policy q" in output, f"the {role} may", output, errors)
    status, _, errors = history(s, role="runtime_catalog_worker")
    s.tap.ok(status == 2 and "permission denied" in errors, "the worker may not", errors)

    # A page is not all, and all is not in memory.
    s.cluster.sql("INSERT INTO runtime_catalog.runtime (namespace_id, type, name, oci_runtime)"
                  f" SELECT 1, 'container', 'many-' || n, repeat('x', 4096) FROM generate_series(1, {MANY}) AS n")
    s.tap.equal(len(history(s)[1].splitlines()), 102, "without -limit the last hundred are shown")
    for form in ("json", "table"):
        few = peak(s, f"-format={form}", "-limit=32")
        all_of_them = peak(s, f"-format={form}", "-table=runtime", "-limit=0")
        s.tap.ok(all_of_them[0] > MANY, f"{form}: all are printed", all_of_them)
        s.tap.ok(all_of_them[1] < few[1] + 6144, f"{form}: in the memory of a page", f"{few[1]} KiB", f"{all_of_them[1]} KiB")
        s.tap.ok(few[0] <= 34, f"{form}: and with -limit no more than that", few)
