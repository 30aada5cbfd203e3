#!/usr/bin/python3
"""runtime-catalog namespace: create, list, read, update, delete, as the operator's role."""
import json
import os
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import stack  # noqa: E402

NAME = "NAME: one segment; -namespace names the one above it"
TABLE = """Key                Value
---                -----
custom_metadata    map[%s]
id                 %s
max_runtimes       %s
path               %s
runtimes           %d
"""


class Text(str):
    """All that is printed, where a plain text is a part of what standard error has."""


def row(path, runtimes=0, max_runtimes=None, **metadata):
    return {"custom_metadata": metadata, "max_runtimes": max_runtimes, "path": path, "runtimes": runtimes}


# One after the other: arguments behind `namespace`, exit status, and standard output as a table
# (Text) or as JSON without the ids, or a part of standard error.
STEPS = [
    ("there is none", ["list"], 0, Text("Path    Runtimes    Max runtimes\n----    --------    ------------\n")),
    ("none in JSON", ["list", "-format=json"], 0, []),
    ("one", ["create", "team-a", "-format=json"], 0, row("team-a/")),
    ("it is there", ["create", "team-a"], 2, "namespace already exists"),
    ("one with all that can be said", ["create", "-max-runtimes=3", "-custom-metadata=b=x=y", "-custom-metadata", "a=", "-format=json",
                                       "team-b/"], 0, row("team-b/", max_runtimes=3, a="", b="x=y")),
    ("one below", ["create", "-namespace=team-a", "-max-runtimes=0", "-format=json", "low"], 0, row("team-a/low/", max_runtimes=0)),
    ("no limit, in words", ["create", "-namespace=/team-a/low/", "-max-runtimes=none", "-format=json", "lower"], 0,
     row("team-a/low/lower/")),
    ("below none", ["create", "-namespace=absent", "x"], 2, 'namespace "absent/" does not exist'),
    ("all", ["list"], 0, Text("Path                 Runtimes    Max runtimes\n"
                              "----                 --------    ------------\n"
                              "team-a/              2           n/a\n"
                              "team-a/low/          0           0\n"
                              "team-a/low/lower/    0           n/a\n"
                              "team-b/              1           3\n")),
    ("those below one", ["list", "-namespace=team-a", "-format=json"], 0,
     [row("team-a/low/", max_runtimes=0), row("team-a/low/lower/")]),
    ("those below none", ["list", "-namespace=team"], 2, 'namespace "team/" does not exist'),
    ("one is read", ["read", "team-a", "-format=json"], 0, row("team-a/", 2)),
    ("one below", ["read", "-namespace=team-a", "low", "-format=json"], 0, row("team-a/low/", max_runtimes=0)),
    ("a field", ["read", "-field=max_runtimes", "team-b"], 0, Text("3\n")),
    ("its path", ["read", "-field=path", "team-b/"], 0, Text("team-b/\n")),
    ("a field that is none", ["read", "-field=parent", "team-b"], 1, '-field: field "parent" is not in the result'),
    ("one that is not there", ["read", "team"], 2, 'namespace "team/" does not exist'),
    ("nor there", ["read", "-namespace=team-b", "low"], 2, 'namespace "team-b/low/" does not exist'),
    ("a limit", ["update", "-max-runtimes=2", "team-a", "-format=json"], 0, row("team-a/", 2, 2)),
    ("metadata come and go", ["update", "-custom-metadata=c=3", "-remove-custom-metadata=a", "-remove-custom-metadata=absent",
                              "-format=json", "team-b"], 0, row("team-b/", 1, 3, b="x=y", c="3")),
    ("one that is set and removed is set", ["update", "-custom-metadata=c=4", "-remove-custom-metadata=c", "-format=json", "team-b"], 0,
     row("team-b/", 1, 3, b="x=y", c="4")),
    ("nothing", ["update", "team-b", "-format=json"], 0, row("team-b/", 1, 3, b="x=y", c="4")),
    ("no limit any more", ["update", "-max-runtimes=none", "team-b", "-format=json"], 0, row("team-b/", 1, None, b="x=y", c="4")),
    ("one that is not there", ["update", "-max-runtimes=1", "team"], 2, 'namespace "team/" does not exist'),
    ("too many metadata", ["update", "-custom-metadata=c=" + "x" * 4096, "team-b"], 2, "custom_metadata: 4096 bytes at most"),
    ("it has namespaces", ["delete", "-namespace=team-a", "low"], 2, 'cannot delete namespace "low/": it still has 1 namespace'),
    ("it has more", ["delete", "team-a"], 2, 'cannot delete namespace "team-a/": it still has 1 namespace, 2 runtimes'),
    ("the lowest", ["delete", "-namespace=team-a/low", "lower/"], 0, Text("Success! Namespace deleted at: team-a/low/lower/\n")),
    ("the one above", ["delete", "-namespace=team-a", "low"], 0, Text("Success! Namespace deleted at: team-a/low/\n")),
    ("they are gone", ["list", "-namespace=team-a", "-format=json"], 0, []),
    ("one that is not there", ["delete", "low"], 2, 'namespace "low/" does not exist'),
    ("below none", ["delete", "-namespace=absent", "low"], 2, 'namespace "absent/low/" does not exist'),
    ("the root namespace", ["delete", ""], 1, NAME),
    ("the root namespace", ["read", "/"], 1, NAME),
    ("a path", ["create", "a/b"], 1, NAME),
    ("a path", ["read", "team-a/low"], 1, NAME),
    ("a path", ["delete", "/team-a"], 1, NAME),
    ("no name", ["create"], 1, "an argument is missing"),
    ("two names", ["create", "a", "b"], 1, "one argument too many: b"),
    ("a reserved name", ["create", "sys"], 2, "are reserved paths and cannot be used as namespace names"),
    ("a bad name", ["create", "a b"], 2, "namespace: letters, digits"),
    ("a bad name", ["create", ".a"], 2, "namespace: letters, digits"),
    ("a long name", ["create", "n" * 512], 2, "512 bytes of path at most"),
] + [
    (f"a limit of {limit!r}", ["update", f"-max-runtimes={limit}", "team-a"], 1, "-max-runtimes: a number from 0 to 2147483647, or none")
    for limit in ("", "-1", "1.5", "2147483648", "None", "0x1", "1 ")
] + [
    ("metadata without a value", ["update", "-custom-metadata=c", "team-a"], 1, "-custom-metadata: key=value"),
    ("a flag of another", ["read", "-max-runtimes=1", "team-a"], 1, "-max-runtimes does not belong to namespace read"),
    ("a flag of another", ["create", "-remove-custom-metadata=a", "x"], 1, "-remove-custom-metadata does not belong to namespace create"),
]


def run(s, *arguments, role="ann"):
    return subprocess.run([s.folder / "bin/runtime-catalog", "namespace", *arguments], text=True, stdin=subprocess.DEVNULL,
                          capture_output=True, check=False, env=os.environ | {"RUNTIME_CATALOG_DSN": s.cluster.dsn(role)})


def without_ids(value):
    for each in value if isinstance(value, list) else [value]:
        each.pop("id")
    return value


with stack(plan=2 * len(STEPS) + 5) as s:
    s.cluster.sql("CREATE ROLE ann LOGIN IN ROLE runtime_catalog_operator; CREATE ROLE ben LOGIN IN ROLE runtime_catalog_reader")
    for name, arguments, status, wanted in STEPS:
        done = run(s, *arguments)
        if arguments[:2] == ["create", "-namespace=/team-a/low/"]: # from here on there are runtimes
            s.cluster.sql("INSERT INTO runtime_catalog.runtime (namespace_id, type, name)"
                          " SELECT id, 'container', unnest(ARRAY['a', 'b']) FROM runtime_catalog.namespace WHERE path = 'team-a/';"
                          "INSERT INTO runtime_catalog.runtime (namespace_id, type, name)"
                          " SELECT id, 'container', 'a' FROM runtime_catalog.namespace WHERE path = 'team-b/'")
        s.tap.equal((done.returncode, bool(done.stderr)), (status, status != 0), f"{name}: the exit status is {status}")
        if isinstance(wanted, str):
            s.tap.ok(wanted == done.stdout if isinstance(wanted, Text) else wanted in done.stderr, name, done.stdout, done.stderr)
        else:
            s.tap.ok(done.returncode == 0 and without_ids(json.loads(done.stdout)) == wanted, name, done.stdout, done.stderr)

    described = s.request("GET", "/v1/sys/namespaces/team-b")
    s.tap.equal(described.status, 404, "the site of the catalog alone has no namespaces")
    label = run(s, "read", "-field=id", "team-b").stdout.strip()
    s.tap.equal(run(s, "read", "team-b").stdout, TABLE % ("b:x=y c:4", label, "<nil>", "team-b/", 1), "a table")
    s.tap.equal(s.cluster.sql("SELECT runtime_catalog.namespace_label(id) FROM runtime_catalog.namespace WHERE path = 'team-b/'"), label,
                "its id is the API's")
    done = run(s, "create", "x", role="ben")
    s.tap.ok(done.returncode == 2 and "SQLSTATE 42501" in done.stderr, "a reader creates none", done.stderr)
    s.tap.equal(s.cluster.sql("SELECT DISTINCT role_name FROM runtime_catalog.change WHERE table_name = 'namespace' AND xid <>"
                              " (SELECT xid FROM runtime_catalog.change WHERE namespace_id = 1 LIMIT 1)"), "ann",
                "history says who it was")
