#!/usr/bin/python3
"""What a DBA sees of worker and tool: connections that say who they are and are no more than was
agreed, time-outs that take effect, and few statements, each with its name and without a value in it.
"""
import re
import subprocess
import sys
import threading
import time

sys.path.append(sys.path[0] + "/../lib")
from cluster import BIN, lines_of  # noqa: E402
from harness import CHECKOUT, CONTAINER, stack  # noqa: E402
from processes import wait_for  # noqa: E402

VERSION = re.search(r"AC_INIT\(\[runtime-catalog\], \[([0-9.]+)\]\)", (CHECKOUT / "configure.ac").read_text())[1]
WORKER, TOOL = f"runtime-catalogd {VERSION}", f"runtime-catalog {VERSION}"
# Read now: where the checkout lies may be closed to whom the test becomes.
IN_SOURCE = {name for path in (CHECKOUT / "src").glob("*.c") for name in re.findall(r'\.name = "(\w+)"', path.read_text())} | {"who_answers", "session"}
TOOL_SOURCE = (CHECKOUT / "src/tool.c").read_text()
MARK = "zq7marked" # in everything that a request brings
FIXTURE = """
CREATE EXTENSION pg_stat_statements;
CREATE ROLE ann LOGIN CONNECTION LIMIT 1 IN ROLE runtime_catalog_operator;
CREATE ROLE bea LOGIN IN ROLE runtime_catalog_reader;
ALTER ROLE runtime_catalog_worker CONNECTION LIMIT 4;
CREATE FUNCTION public.array_to_json(json[]) RETURNS json LANGUAGE sql AS 'SELECT ''"hijacked"''::json';
"""
# What no worker does to its tables for long: a lock, and a transaction that goes on.
HOLDING = "BEGIN; LOCK TABLE runtime_catalog.policy, runtime_catalog.runtime; SELECT 'held';\n"

# What is asked for twice, with other values: every statement of the worker's, but those of -t.
PLUGIN = {"sha256": "f" * 64, "command": "c", "version": "v1.0.0"}


def flow(s, mark):
    """Every kind of request that reaches the database."""
    def ask(method, path, body=None, token=None):
        response = s.request(method, "/v1/" + path, body, token=token or s.root_token)
        if response.status >= 400 and response.status != 404:
            raise RuntimeError(f"{method} {path}:\n{response}")
        return response

    runtime, plugin = f"sys/plugins/runtimes/catalog/container/{mark}", f"sys/plugins/catalog/secret/{mark}"
    for method in ("PUT", "GET"):
        ask(method, runtime, {"cpu_nanos": 5, "cgroup_parent": mark} if method == "PUT" else None)
    for path in ("sys/plugins/runtimes/catalog", "sys/plugins/catalog/secret", "sys/policies/acl", "sys/namespaces", "auth/token/accessors"):
        ask("LIST", path)
    ask("GET", "sys/plugins/catalog")
    ask("PUT", plugin, dict(PLUGIN, runtime=mark, args=[mark], env=[f"{mark}={mark}"]))
    ask("GET", f"{plugin}?version=v1.0.0")
    s.request("DELETE", "/v1/" + runtime)
    ask("DELETE", f"{plugin}?version=v1.0.0")
    ask("PUT", f"sys/policies/acl/{mark}", {"policy": f'path "{mark}" {{ capabilities = ["read"] }}'})
    ask("GET", f"sys/policies/acl/{mark}")
    child = ask("POST", "auth/token/create", {"policies": [mark], "meta": {mark: mark}, "ttl": "1h", "display_name": mark}).key("auth")
    s.secrets.append(child["client_token"])
    ask("GET", "auth/token/lookup-self", token=child["client_token"])
    ask("POST", "auth/token/renew-self", {}, token=child["client_token"])
    for name in ("lookup", "renew", "revoke"):
        ask("POST", f"auth/token/{name}-accessor", {"accessor": child["accessor"]})
    ask("POST", "auth/token/tidy")
    ask("POST", "sys/capabilities-self", {"paths": [mark]})
    ask("POST", "sys/capabilities", {"paths": [mark], "token": s.root_token})
    ask("POST", f"sys/namespaces/{mark}", {"custom_metadata": {mark: mark}})
    ask("GET", f"sys/namespaces/{mark}")
    ask("DELETE", f"sys/namespaces/{mark}")
    ask("DELETE", f"sys/policies/acl/{mark}")
    ask("DELETE", runtime)
    ask("GET", "sys/health")
    s.request("GET", f"/v1/{mark}/sys/plugins/runtimes/catalog")


def tool_flow(s, dsn, mark):
    """Every subcommand that reaches the database, as a role that may have one connection."""
    s.policy(mark, 'path "a" {}') # as administrator: the token below warns of nothing
    accessor = s.tool("token", "issue", "-policy=" + mark, "-field=token_accessor").stdout.strip()
    files = f"-migrations={s.folder / 'sql/migrations'}"
    done = {}
    for arguments, given in [(["policy", "write", mark, "-"], f'path "{mark}" {{}}'), (["policy", "read", mark], None), (["policy", "list"], None),
                             (["policy", "delete", mark], None), (["namespace", "create", mark], None), (["namespace", "list"], None),
                             (["namespace", "update", "-max-runtimes=3", mark], None), (["namespace", "read", mark], None),
                             (["namespace", "delete", mark], None), (["token", "issue", "-policy=" + mark], None), (["token", "list"], None),
                             (["token", "lookup", "-accessor=" + accessor], None), (["token", "revoke", "-accessor=" + accessor], None),
                             (["history"], None), (["audit", "hash", mark], None), (["status", files], None)]:
        ran = subprocess.run([s.folder / "bin/runtime-catalog", *arguments], input=given, text=True, capture_output=True, check=False,
                             env={"RUNTIME_CATALOG_DSN": dsn})
        s.secrets += re.findall(r"hvs\.\w+", ran.stdout)
        done[" ".join(word for word in arguments[:2] if not word.startswith("-"))] = (ran.returncode, ran.stdout + ran.stderr)
    return done


def subcommands():
    """Of tool.c's table, without those that need no database; migrate is migrations.py's."""
    rows = TOOL_SOURCE.split(".words = ")[1:]
    return {" ".join(re.findall(r'"([a-z]+)"', row.split("}", 1)[0])) for row in rows if ".offline = true" not in row.split("    {\n")[0]} - {"migrate"}


def statements(s, role):
    """{name: how many texts}, and texts without a name."""
    rows = s.cluster.sql("SELECT replace(query, E'\\n', ' ') FROM public.pg_stat_statements JOIN pg_roles ON pg_roles.oid = userid"
                         f" WHERE rolname = '{role}'").splitlines()
    named = [match[1] for row in rows if (match := re.match(r"/\* (\w+) \*/ ", row))]
    return {name: named.count(name) for name in named}, [row for row in rows if not re.match(r"/\* \w+ \*/ ", row)]


def few_statements(s):
    flow(s, MARK + "first")
    flow(s, MARK + "a") # a list that was read before is read in another way
    s.tool("policy", "write", "again", "-", input='path "x" {}')
    first, unnamed = statements(s, "runtime_catalog_worker")
    s.tap.ok(not unnamed, "every statement of the worker has its name in front", *unnamed)
    s.tap.ok(set(first) <= IN_SOURCE and len(first) > 20, "which stands in its source", set(first) - IN_SOURCE, first)
    s.tap.equal({name for name, texts in first.items() if texts > 1}, set(), "and there is one statement of a name")
    flow(s, MARK + "b")
    second, _ = statements(s, "runtime_catalog_worker")
    s.tap.equal(set(second) - set(first), set(), f"other values make no other statements: there are {len(first)}")
    texts = [line for line in lines_of(s.cluster.log) if MARK in line and not re.search(r"DETAIL:  parameters: ", line)]
    s.tap.ok(not texts, "no statement holds a value", *texts[:5])
    logged = [line for line in lines_of(s.cluster.log) if "DETAIL:  parameters: " in line and MARK in line]
    s.tap.ok(logged, "values are parameters")


def the_tool(s):
    done = tool_flow(s, s.cluster.dsn("ann"), MARK + "c")
    wrong = {name: said for name, said in done.items() if said[0]}
    s.tap.equal(set(done), subcommands(), "each command of the tool that needs a database")
    s.tap.ok(not wrong, "works with one connection", wrong)
    s.tap.ok("hijacked" not in done["namespace list"][1], "and take no function of somebody else's for PostgreSQL's", done["namespace list"])
    found, unnamed = statements(s, "ann")
    s.tap.ok(not unnamed and set(found) <= IN_SOURCE, "its statements have names, too", unnamed, found)


def connections_under_load(s):
    """Many clients, and never a connection more than max_connections and the one that follows changes."""
    end, seen = threading.Event(), []

    def client(number):
        connection = s.client.connect()
        while not end.is_set():
            s.request("PUT", f"{CONTAINER}{MARK}{number}", {}, connection=connection)
        connection.close()

    clients = [threading.Thread(target=client, args=(number,)) for number in range(40)]
    for thread in clients:
        thread.start()
    for _ in range(20):
        seen.append(s.cluster.sql("SELECT application_name, count(*) FROM pg_stat_activity WHERE usename = 'runtime_catalog_worker' GROUP BY 1"))
    end.set()
    for thread in clients:
        thread.join()
    s.tap.ok(set(seen) <= {f"{WORKER}|{count}" for count in (1, 2, 3, 4)} and f"{WORKER}|4" in seen,
             "under load there are no more than max_connections and one, and each says whose it is, with its version", set(seen))
    refused = [line for line in lines_of(s.cluster.log) if "too many connections" in line]
    s.tap.ok(not refused, "nor was one more ever asked for", *refused)
    s.cluster.sql("ALTER ROLE runtime_catalog_worker CONNECTION LIMIT -1")


def seconds(action):
    started = time.monotonic()
    result = action()
    return result, time.monotonic() - started


def psql(s, role, text):
    return subprocess.run([BIN / "psql", "-XqAt", "-v", "VERBOSITY=verbose", "-d", s.cluster.dsn(role)], input=text, text=True,
                          capture_output=True, check=False)


# Who, what is tried while somebody holds the tables, the SQLSTATE that ends it, and after how many seconds at most.
TIME_OUTS = {
    "the worker's lock_timeout": ("runtime_catalog_worker", "SELECT FROM runtime_catalog.runtime;", "55P03", 2, 4.5),
    "the worker's statement_timeout": ("runtime_catalog_worker", "SELECT pg_catalog.pg_sleep(30);", "57014", 5, 9),
    "a person's lock_timeout": ("bea", "SELECT FROM runtime_catalog.runtime;", "55P03", 1, 4),
}


def time_outs(s):
    s.tap.equal(psql(s, "bea", "SHOW statement_timeout; SHOW lock_timeout; SHOW idle_in_transaction_session_timeout;").stdout.split(), ["0", "0", "0"],
                "a group's members have no time-outs from it")
    s.cluster.sql("ALTER ROLE bea SET lock_timeout = '1s'")
    holder = s.cluster.session()
    holder.stdin.write(HOLDING)
    holder.stdin.flush()
    holder.stdout.readline()
    results = {}

    def attempt(name, role, text):
        results[name] = seconds(lambda: psql(s, role, text))

    def tool():
        results["tool"] = seconds(lambda: subprocess.run(
            [s.folder / "bin/runtime-catalog", "policy", "list"], text=True, capture_output=True, check=False,
            env={"RUNTIME_CATALOG_DSN": s.cluster.dsn("ann")}))

    def idle():
        session = s.cluster.session("runtime_catalog_worker")
        session.stdin.write("BEGIN; SELECT 'begun';\n")
        session.stdin.flush()
        session.stdout.readline()
        idlers = ("SELECT count(*) FROM pg_stat_activity WHERE usename = 'runtime_catalog_worker' AND application_name = 'psql'"
                  " AND state = 'idle in transaction'")
        results["idle"] = seconds(lambda: wait_for(lambda: s.cluster.sql(idlers) == "0", 15, "the idle session ends"))
        session.communicate()

    threads = [threading.Thread(target=attempt, args=(name, role, text)) for name, (role, text, *_) in TIME_OUTS.items()]
    threads += [threading.Thread(target=tool), threading.Thread(target=idle)]
    for thread in threads:
        thread.start()
    name = wait_for(lambda: s.cluster.sql("SELECT application_name FROM pg_stat_activity WHERE usename = 'ann'"), 20, "the tool waits")
    s.tap.equal(name, TOOL, "the tool's connection says so, with its version")
    for thread in threads:
        thread.join()
    holder.communicate("COMMIT;\n")
    for name, (_, _, sqlstate, least, most) in TIME_OUTS.items():
        done, took = results[name]
        s.tap.ok(f" {sqlstate}: " in done.stderr and least - 0.1 < took < most, f"{name} ends what waits, after {least} s",
                 f"{took:.1f} s", done.stderr)
    s.tap.ok(4.5 < results["idle"][1] < 12, "the worker's idle_in_transaction_session_timeout ends what holds a transaction open, after 5 s",
             results["idle"])
    done, took = results["tool"]
    s.tap.ok(done.returncode == 2 and "55P03" in done.stderr and 4.9 < took < 10, "the tool waits for a lock five seconds",
             f"{took:.1f} s", done.stderr)


def own_time_out(s):
    """What somebody set for a person counts, not what the tool would."""
    s.cluster.sql("ALTER ROLE ann SET lock_timeout = '200ms'")
    holder = s.cluster.session()
    holder.stdin.write(HOLDING)
    holder.stdin.flush()
    holder.stdout.readline()
    done, took = seconds(lambda: subprocess.run(
        [s.folder / "bin/runtime-catalog", "policy", "list"], text=True, capture_output=True, check=False,
        env={"RUNTIME_CATALOG_DSN": s.cluster.dsn("ann")}))
    holder.communicate("COMMIT;\n")
    s.tap.ok(done.returncode == 2 and "55P03" in done.stderr and took < 4, "or as long as the person's own lock_timeout has it",
             f"{took:.1f} s", done.stderr)


with stack(plan=20, site="stand-alone", worker={"storage": "max_connections = 3"}) as s:
    s.expect("postgresql", "25P03|terminating connection due to (idle-in-transaction timeout|administrator command)")
    s.expect("worker", "STORAGE_AWAY")
    s.cluster.stop()
    with open(s.cluster.data / "postgresql.conf", "a", encoding="ascii") as file:
        file.write("shared_preload_libraries = 'pg_stat_statements'\nlog_statement = 'all'\n"
                   "log_parameter_max_length = 10\n") # not enough of a hash
    s.cluster.start()
    s.cluster.sql(FIXTURE)
    wait_for(lambda: s.request("GET", "/v1/sys/health", token=None).status == 200, 20, "the worker is back")
    few_statements(s)
    the_tool(s)
    connections_under_load(s)
    time_outs(s)
    own_time_out(s)
