#!/usr/bin/python3
"""The history: each write leaves a row that says who did it, over the API or by psql; reads and
refusals leave none."""
import json
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, CONTAINER, UNCACHED, stack  # noqa: E402
from cluster import lines_of  # noqa: E402


def newer(s, number):
    """The changes after one, oldest first, as dictionaries."""
    rows = s.cluster.sql(f"SELECT row_to_json(change) FROM runtime_catalog.change WHERE id > {number} ORDER BY id")
    return [json.loads(row) for row in rows.splitlines()]


def logged_id(s, method, path):
    """The id that nginx logged for the last such request."""
    lines = [line for line in lines_of(s.access_log) if f'"{method} {path} ' in line]
    return lines[-1].split("request_id=")[1]


# Method, body, status, and what the change row says: operation, cpu_nanos before and after.
WRITES = [
    ("POST", {"cpu_nanos": 1}, 204, "insert", None, 1),
    ("PUT", {"cpu_nanos": 2}, 204, "update", 1, 2),
    ("DELETE", None, 204, "delete", 2, None),
]

# What leaves no trace.
OTHERS = [
    ("GET", CONTAINER + "kept", None, 200, "a read"),
    ("LIST", CATALOG, None, 200, "a list"),
    ("POST", CONTAINER + "kept", {"cpu_nanos": -1}, 400, "a refused registration"),
    ("DELETE", CONTAINER + "kept", None, 400, "a refused removal"),
    ("DELETE", CONTAINER + "absent", None, 404, "a removal of what is not there"),
]

with stack(plan=5 * len(WRITES) + len(OTHERS) + 8, worker=UNCACHED) as s:
    token = json.loads(s.tool("token", "issue", "-policy=root", "-format=json").stdout)
    token = token.get("auth", token)
    secret = token.get("token", token.get("client_token"))
    s.secrets.append(secret)
    s.register("kept")
    s.plugin("p", "kept")

    path = CONTAINER + "example"
    for method, body, status, operation, before, after in WRITES:
        last = int(s.cluster.sql("SELECT max(id) FROM runtime_catalog.change"))
        s.answer(f"{method}", s.request(method, path, body, token=secret), status)
        rows = newer(s, last)
        s.tap.ok(len(rows) == 1 and (rows[0]["table_name"], rows[0]["operation"]) == ("runtime", operation),
                 f"{method} leaves one row: {operation}", rows)
        row = rows[0]
        s.tap.equal((row["accessor"], row["request_id"], row["role_name"]),
                    (token["token_accessor"], logged_id(s, method, path), "runtime_catalog_worker"),
                    f"{method}: the row says who, by which request")
        s.tap.equal(row["key"], {"type": "container", "name": "example"}, f"{method}: and what")
        s.tap.equal(((row["old"] or {}).get("cpu_nanos"), (row["new"] or {}).get("cpu_nanos")), (before, after),
                    f"{method}: and how it was and is")

    last = int(s.cluster.sql("SELECT max(id) FROM runtime_catalog.change"))
    for method, path, body, status, name in OTHERS:
        s.answer(name, s.request(method, path, body), status)
    s.tap.equal(newer(s, last), [], "none of these leaves a row")

    s.cluster.sql("UPDATE runtime_catalog.runtime SET cpu_nanos = 77 WHERE name = 'kept'")
    rows = newer(s, last)
    s.tap.ok(len(rows) == 1 and rows[0]["operation"] == "update", "a change by psql leaves a row", rows)
    s.tap.equal((rows[0]["accessor"], rows[0]["request_id"], rows[0]["role_name"]), (None, None, "postgres"),
                "with psql's role, and nobody's request")
    s.tap.equal(s.request("GET", CONTAINER + "kept").data["cpu_nanos"], 77, "and is served")

    last = rows[0]["id"]
    s.cluster.sql("TRUNCATE runtime_catalog.runtime CASCADE")
    s.tap.equal(sorted((row["table_name"], row["operation"]) for row in newer(s, last)),
                [("plugin", "truncate"), ("runtime", "truncate")], "TRUNCATE leaves rows, too")
    s.answer("and is served", s.request("LIST", CATALOG), 200, data={"runtimes": []})

    s.tool("policy", "write", "p", "-", input='path "x" { capabilities = ["read"] }')
    issued = s.token("p")
    tables = [row["table_name"] for row in newer(s, last)][2:]
    s.tap.equal(tables, ["policy", "token"], "so do policies and tokens")
    s.tap.ok(issued not in json.dumps(newer(s, 0)) and '"hash"' not in json.dumps(newer(s, 0)),
             "without the token or its hash")
