#!/usr/bin/python3
"""A catalog with something of everything, dumped by a DBA who is no superuser, as the owner: by pg_dump
into psql, and in the custom format as sql/README.md has it. In an empty cluster it answers every
request as the first one does, byte for byte but for what is new in each answer; and goes on from there.
"""
import difflib
import json
import re
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
from cluster import BIN, make_cluster  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402

PLUGINS = "/v1/sys/plugins/catalog"
READS = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'

# What differs from one answer to the next, whatever answers: the request's id, the time, and what is
# left of a token's life, which is held against the clock below.
ALWAYS_NEW = [(rb'"request_id":"[0-9a-f-]{36}"', b'"request_id":""'), (rb'"server_time_utc":\d+', b'"server_time_utc":0'),
              (rb'"(ttl|lease_duration|lease_expiry_seconds)":\d{2,}', rb'"\1":0')]

# What a client may ask for, with the root token: method, path, body, namespace.
ASKED = [
    *(("GET", CONTAINER + name, None, namespace) for namespace in ("", "team-a", "team-a/deep", "limited")
      for name in ("one", "two", "three", "held", "absent")),
    *((method, CATALOG + query, None, namespace) for namespace in ("", "team-a", "team-a/deep", "limited", "absent")
      for method, query in (("LIST", ""), ("GET", ""), ("GET", "?type=container"))),
    *(("GET", PLUGINS, None, namespace) for namespace in ("", "team-a")),
    *(("LIST", f"{PLUGINS}/{kind}", None, "") for kind in ("auth", "database", "secret")),
    *(("GET", f"{PLUGINS}/{rest}", None, "") for rest in ("secret/p", "secret/p?version=v1.2.3", "secret/p?version=v2.0.0-rc.1",
                                                           "auth/plain", "database/absent")),
    ("LIST", "/v1/sys/policies/acl", None, ""), ("LIST", "/v1/sys/policies/acl", None, "team-a"),
    *(("GET", f"/v1/sys/policies/acl/{name}", None, namespace) for namespace in ("", "team-a")
      for name in ("reads", "json", "odd", "long", "default", "root", "absent")),
    ("LIST", "/v1/sys/namespaces", None, ""), ("LIST", "/v1/sys/namespaces", None, "team-a"),
    *(("GET", f"/v1/sys/namespaces/{name}", None, "") for name in ("team-a", "limited", "absent")),
    ("GET", "/v1/sys/namespaces/deep", None, "team-a"),
    ("LIST", "/v1/auth/token/accessors", None, ""), ("LIST", "/v1/auth/token/accessors", None, "team-a"),
    ("GET", "/v1/sys/health", None, ""), ("GET", "/v1/sys/seal-status", None, ""),
    # Refusals that rest on what is stored, and change nothing.
    ("DELETE", CONTAINER + "held", None, ""), ("DELETE", CONTAINER + "absent", None, ""),
    ("DELETE", "/v1/sys/namespaces/team-a", None, ""), ("POST", CONTAINER + "more", {}, "limited"),
    ("POST", f"{PLUGINS}/secret/q", {"command": "q", "sha256": "00" * 32, "runtime": "absent"}, ""),
]

# What each token asks for itself.
ASKED_BY_EACH = [
    ("GET", "/v1/auth/token/lookup-self", None, ""), ("GET", CONTAINER + "one", None, ""), ("GET", CONTAINER + "one", None, "team-a"),
    ("LIST", CATALOG, None, ""), ("POST", "/v1/sys/capabilities-self", {"paths": ["sys/plugins/runtimes/catalog/container/one", "x"]}, ""),
]

# name: flags of token issue
TOKENS = {
    "root": ["-policy=root"], "reads": ["-policy=reads"], "json": ["-policy=json", "-policy=odd", "-display-name=Ann"],
    "ttl": ["-policy=reads", "-ttl=20h"], "period": ["-policy=reads", "-period=20h"],
    "max": ["-policy=reads", "-ttl=20h", "-explicit-max-ttl=30h"], "uses": ["-policy=reads", "-use-limit=50"],
    "used up": ["-policy=reads", "-use-limit=1"], "metadata": ["-policy=reads", "-metadata=a=1", "-metadata=ü=€"],
    "bound": ["-policy=reads", "-bound-cidr=127.0.0.0/8", "-bound-cidr=::1"], "bound elsewhere": ["-policy=reads", "-bound-cidr=192.0.2.0/24"],
    "of a namespace": ["-policy=root", "-namespace=team-a"], "expired": ["-policy=reads", "-ttl=1h"],
}


def register(s, namespace, name, **body):
    s.answer(f"{name} in {namespace or 'the root'}", ask(s, "POST", CONTAINER + name, body, namespace), 204)


def ask(s, method, path, body, namespace, token=None):
    return s.request(method, path, body, token=token or s.root_token,
                     headers=[("X-Vault-Namespace", namespace)] if namespace else [])


def fill(s):
    """Something of everything, by every way in. Returns the tokens by name."""
    for above, *flags in (["-namespace=", "team-a", "-custom-metadata=a=b", "-custom-metadata=ü=€"], ["-namespace=team-a", "deep"],
                          ["-namespace=", "limited", "-max-runtimes=1"]):
        s.tool("namespace", "create", above, *flags)
    register(s, "", "one", oci_runtime="runc", cgroup_parent="/parent/é", cpu_nanos=2**63 - 1, memory_bytes=1, rootless=True)
    register(s, "", "two")
    register(s, "", "held")
    register(s, "team-a", "one", cpu_nanos=5)
    register(s, "team-a/deep", "three", oci_runtime="x" * 4096, cgroup_parent="\t\"\\\u0001")
    register(s, "limited", "one")
    register(s, "", "gone")
    s.answer("one that goes", s.request("DELETE", CONTAINER + "gone"), 204)
    for path, body in (("secret/p", {"version": "v1.2.3", "command": "p", "sha256": "ab" * 32, "args": ["-a", "b c"],
                                     "env": ["A=1", "B=\\n\""], "runtime": "held"}),
                       ("secret/p", {"version": "v2.0.0-rc.1", "oci_image": "example.com/p", "sha256": "cd" * 32, "runtime": "held"}),
                       ("auth/plain", {"command": "plain", "sha256": "00" * 32})):
        s.answer(path, s.request("POST", f"{PLUGINS}/{path}", body), 204)
    for flags in ((), ("-namespace=team-a",)):
        s.policy("reads", READS, *flags)
    s.policy("json", json.dumps({"path": {"sys/plugins/runtimes/catalog/*": {"capabilities": ["read", "list", "sudo"]}}}))
    s.policy("odd", "# ü \\. \\\\ \t\n# $$ 'quoted' \"\n" + READS)
    s.policy("long", "".join(f'path "a/{n}" {{ capabilities = ["deny"] }}\n' for n in range(5000)))
    tokens = {name: issue(s, *flags) for name, flags in TOKENS.items()}
    for name, parent, body in (("child", "root", {"policies": ["reads"], "ttl": "10h"}), ("grandchild", "child", {"policies": ["reads"]}),
                               ("orphan", "root", {"policies": ["reads"], "no_parent": True, "num_uses": 40, "meta": {"k": "v"}})):
        answer = s.request("POST", "/v1/auth/token/create", body, token=tokens[parent])
        s.answer(f"a token that is a {name}", answer, 200)
        tokens[name] = answer.json["auth"]["client_token"]
        s.secrets.append(tokens[name])
    s.request("GET", CONTAINER + "one", token=tokens["used up"])
    s.request("GET", CONTAINER + "one", token=tokens["uses"])
    s.cluster.sql("UPDATE runtime_catalog.token SET expires_at = now() - interval '1 minute' WHERE ttl = 3600")
    return tokens


def issue(s, *flags):
    token = s.tool("token", "issue", *flags, "-field=token").stdout.strip()
    s.secrets.append(token)
    return token


def bytes_of(response):
    body = response.body
    for pattern, replacement in ALWAYS_NEW:
        body = re.sub(pattern, replacement, body)
    return response.status, [header for header in response.headers if header[0] != "Date"], body


def collect(s, tokens):
    """What each request is answered: (who, method, path, namespace) → status, headers, body."""
    answers = {}
    for method, path, body, namespace in ASKED:
        answers["the administrator", method, path, namespace] = bytes_of(ask(s, method, path, body, namespace))
    for name, token in tokens.items():
        for method, path, body, namespace in ASKED_BY_EACH:
            answers[name, method, path, namespace] = bytes_of(ask(s, method, path, body, namespace, token))
    return answers


def lives(s, tokens):
    """What is left of those that end, in seconds."""
    return {name: ask(s, "GET", "/v1/auth/token/lookup-self", None, "", tokens[name]).data["ttl"] for name in ("ttl", "period", "max", "child")}


def connect_worker_to(s, cluster, database):
    s.stop_worker()
    s.configure_worker(edit=lambda text: text.replace(s.cluster.dsn("runtime_catalog_worker"), dsn(cluster, database, "runtime_catalog_worker")))
    s.start_worker()


def dsn(cluster, database, role="dba"):
    return f"host={cluster.socket} dbname={database} user={role}"


def make_dba(cluster):
    """Who may make roles and databases, and is no superuser."""
    cluster.psql("-c", "CREATE ROLE dba LOGIN NOSUPERUSER CREATEROLE CREATEDB", database="postgres")


def prepare_restore(s, cluster, database):
    """As sql/README.md says: roles first."""
    subprocess.run([BIN / "createdb", "-h", cluster.socket, "-U", "dba", database], check=True)
    for arguments in (["-f", s.folder / "sql/roles.sql"], ["-c", "GRANT runtime_catalog_owner TO CURRENT_USER"]):
        subprocess.run([BIN / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", dsn(cluster, database), *arguments], check=True, capture_output=True)


def pg_dump(s, *arguments):
    return [BIN / "pg_dump", "--role=runtime_catalog_owner", *arguments, dsn(s.cluster, "runtime_catalog")]


def schema_and_rows(cluster, database):
    """All of it as text, without the key that pg_dump draws for each, and without the parentheses of
    triggers, of which one that has been through it once has fewer."""
    text = subprocess.run([BIN / "pg_dump", "--role=runtime_catalog_owner", dsn(cluster, database)], check=True, capture_output=True).stdout
    return [re.sub(rb"[()]", b"", line) if line.startswith(b"CREATE TRIGGER") else line
            for line in text.splitlines() if not line.startswith((b"\\restrict", b"\\unrestrict"))]


def differences(left, right):
    return [f"{key}\n{left[key]}\n{right.get(key)}" for key in left if left[key] != right.get(key)]


def check_restored(s, name, cluster, database, tokens, before):
    answers, dumped, left = before
    again = schema_and_rows(cluster, database)
    s.tap.ok(again == dumped, f"{name}: dumped again, it is the same", *difflib.unified_diff(
        *([line.decode() for line in lines] for lines in (dumped, again)), n=0))
    connect_worker_to(s, cluster, database)
    found = collect(s, tokens)
    wrong = differences(answers, found)
    s.tap.ok(len(found) == len(answers) and not wrong, f"{name}: all {len(answers)} answers are the same", *wrong[:5])
    now = lives(s, tokens)
    s.tap.ok(all(left[key] - 600 <= now[key] <= left[key] for key in left), f"{name}: lives go on running", left, now)
    done = subprocess.run([s.folder / "bin/runtime-catalogd", "-t", "-c", s.folder / "worker.conf"], text=True,
                          capture_output=True, check=False)
    s.tap.equal(done.returncode, 0, f"{name}: runtime-catalogd -t finds nothing wrong")

    # It goes on: numbers, triggers, limits, a parent that takes its children along.
    last = int(subprocess_sql(cluster, database, "SELECT max(id) FROM runtime_catalog.change"))
    register(s, "", "new")
    s.answer(f"{name}: a namespace", ask(s, "POST", "/v1/sys/namespaces/new", {}, ""), 200)
    s.answer(f"{name}: a token ends", ask(s, "POST", "/v1/auth/token/revoke-self", None, "", tokens["child"]), 204)
    s.answer(f"{name}: and its child", ask(s, "GET", "/v1/auth/token/lookup-self", None, "", tokens["grandchild"]), 403)
    s.tap.equal(subprocess_sql(cluster, database, "SELECT id > %d, table_name, operation FROM runtime_catalog.change"
                               " WHERE id > %d AND table_name <> 'change' ORDER BY id" % (last, last)),
                "t|runtime|insert\nt|namespace|insert\nt|token|delete\nt|token|delete", f"{name}: history goes on")


def subprocess_sql(cluster, database, statement):
    return cluster.psql("-c", statement, database=database).stdout.rstrip("\n")


with stack(plan=14 + 2 * 9 + 4, site="stand-alone") as s:
    tokens = fill(s)
    make_dba(s.cluster)
    s.cluster.sql("GRANT runtime_catalog_owner TO dba")
    (s.folder / "empty").mkdir()
    other = make_cluster(s.folder / "empty")
    other.start()
    try:
        make_dba(other)
        subprocess.run(pg_dump(s, "--format=custom", f"--file={s.folder / 'catalog.dump'}"), check=True)
        prepare_restore(s, other, "plain")
        with subprocess.Popen(pg_dump(s), stdout=subprocess.PIPE) as dump:
            restore = subprocess.run([BIN / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-c", "SET ROLE runtime_catalog_owner", "-f", "-",
                                      "-d", dsn(other, "plain")], stdin=dump.stdout, capture_output=True, text=True, check=False)
        s.tap.equal((dump.returncode, restore.returncode, restore.stderr), (0, 0, ""), "pg_dump | psql, as the owner")
        prepare_restore(s, other, "custom")
        restore = subprocess.run([BIN / "pg_restore", "--role=runtime_catalog_owner", "--exit-on-error", "--single-transaction",
                                  f"--dbname={dsn(other, 'custom')}", s.folder / "catalog.dump"], capture_output=True, text=True, check=False)
        s.tap.equal((restore.returncode, restore.stderr), (0, ""), "pg_restore, as the owner")
        dumped = schema_and_rows(s.cluster, "runtime_catalog")
        answers = collect(s, tokens)
        statuses = {answer[0] for answer in answers.values()}
        s.tap.ok({200, 400, 403, 404} <= statuses, "answers of every kind", sorted(statuses))
        before = answers, dumped, lives(s, tokens)
        for name in ("plain", "custom"):
            check_restored(s, name, other, name, tokens, before)
        s.tap.equal(other.complaints([]), [], "the other cluster has nothing to complain of")
        s.stop_worker()
    finally:
        other.stop()
