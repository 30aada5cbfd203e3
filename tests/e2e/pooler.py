#!/usr/bin/python3
"""Behind PgBouncer: two workers share a few connections, whichever way it shares them, and nothing of
one transaction is there in the next. How it shares is found out, not configured."""
import collections
import concurrent.futures
import re
import subprocess
import sys
import threading

sys.path.append(sys.path[0] + "/../lib")
from cluster import BIN, lines_of  # noqa: E402
from harness import CONTAINER, UNCACHED, stack  # noqa: E402
from pgbouncer import PASSWORD, Pooler  # noqa: E402
from processes import stop, wait_for  # noqa: E402

CLIENTS = 12
# A pooler logs in for one at a time. Two workers show each other's writes at once only without a cache.
PATIENT = {"storage": 'connect_timeout = "8s"\n pool_timeout = "8s"\n statement_timeout = "8s"',
           "listener": 'request_timeout = "16s"'} | UNCACHED
TENANTS = ("", "a/", "b/")
UNPREPARED = "through a pooler that keeps no prepared statements"
PREPARED = "through a pooler"

# mode, connections of the pooler to PostgreSQL, how statements are sent
WAYS = [("transaction", 3, UNPREPARED), ("transaction", 1, UNPREPARED), ("statement", 3, UNPREPARED), ("session", 40, PREPARED)]


class Load:
    """Clients of three tenants, which all call their runtimes the same, write and read without a
    pause; each looks whether it reads what it wrote."""

    def __init__(self, s, tokens):
        self.s, self.tokens, self.over = s, tokens, threading.Event()
        self.statuses, self.wrong, self.served = collections.Counter(), [], []
        self.pool = concurrent.futures.ThreadPoolExecutor(CLIENTS)
        self.clients = [self.pool.submit(self.run, number) for number in range(CLIENTS)]

    def run(self, number):
        tenant = TENANTS[number % len(TENANTS)]
        name, turn = f"client{number // len(TENANTS)}", 0
        connection = self.s.client.connect()

        def ask(method, body=None):
            response = self.s.request(method, CONTAINER + name, body, token=self.tokens[tenant], connection=connection,
                                      headers=[("X-Vault-Namespace", tenant)])
            self.statuses[response.status] += 1
            self.served.append(response.status in (200, 204))
            return response

        while not self.over.is_set():
            turn += 1
            # The tenant is in the value, so that a row of another one shows.
            value = turn * 100 + TENANTS.index(tenant)
            written, read = ask("PUT", {"cpu_nanos": value}), ask("GET")
            if written.status == 204 and read.status == 200 and read.data["cpu_nanos"] != value:
                self.wrong.append((tenant, name, value, read))
        connection.close()

    def go_on(self, requests):
        wanted = sum(self.served) + requests
        wait_for(lambda: sum(self.served) >= wanted or any(one.done() for one in self.clients), 60, f"requests are served: {self.statuses}")

    def end(self):
        self.over.set()
        for one in self.clients:
            one.result()
        self.pool.shutdown()


def said(s, pattern):
    """How many lines of the workers' logs say so, and no more but a request's id."""
    return sum(re.search(rf"{pattern}( request_id=\S+)?$", line) is not None for log in s.worker_logs() for line in lines_of(log))


def left_behind(s, pooler):
    """What a session of the pool knows of those before it, in each of many transactions."""
    query = ("SELECT concat(current_setting('runtime_catalog.namespace_id', true), current_setting('runtime_catalog.accessor', true),"
             " current_setting('runtime_catalog.request_id', true), (SELECT count(*) FROM runtime_catalog.runtime),"
             " (SELECT count(*) FROM runtime_catalog.policy), (SELECT count(*) FROM pg_prepared_statements))")
    done = subprocess.run([BIN / "psql", "-XqAt", "-d", pooler.url()], input=f"{query};\n" * 50, capture_output=True, text=True,
                          check=False)
    return set(done.stdout.split() or [done.stderr])


def namespaces(s):
    tokens = {"": s.root_token}
    for path in TENANTS[1:]:
        s.tool("namespace", "create", path.rstrip("/"))
        s.policy("all", 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }', f"-namespace={path}")
        tokens[path] = s.token("all", namespace=path)
    return tokens


def configure(s, pooler, edit=lambda text: text):
    s.configure_worker(lambda text: edit(text.replace(s.cluster.dsn("runtime_catalog_worker"), pooler.url())), **PATIENT)


def check_way(s, pooler, tokens, mode, size, way):
    """Two workers on one socket, from the start."""
    name = f"{mode} mode, {size} connections"
    pooler.start(mode, size)
    before = said(s, way)
    with s.listen_for_workers() as listener:
        configure(s, pooler, lambda text: "\n".join(line for line in text.splitlines() if " address " not in line))
        workers = [s.start_sharing(listener, f"{mode}-{size}-{number}") for number in (1, 2)]
        load = Load(s, tokens)
        load.go_on(400)
        sessions = int(s.cluster.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'runtime_catalog_worker'"))
        load.end()
        s.tap.equal(set(load.statuses), {200, 204}, f"{name}: all are served ({sum(load.statuses.values())} requests)")
        s.tap.ok(not load.wrong, f"{name}: each reads its own tenant's", *load.wrong[:3])
        s.tap.equal(said(s, way) - before, 2, f"{name}: both workers find out")
        s.tap.ok(sessions <= size, f"{name}: PostgreSQL has no more sessions than that", sessions)
        s.tap.equal(left_behind(s, pooler), {"000"}, f"{name}: a session shows nothing of those before it, and holds no statement")
        yield workers, name
        s.tap.equal([stop(worker, 15) for worker in workers], [0, 0], f"{name}: both end in order")
    (s.folder / "worker.sock").unlink()
    pooler.stop()


def check_restarts(s, pooler, tokens, mode, size):
    """The pooler is restarted under load, and PostgreSQL behind it."""
    for what in ("PgBouncer", "PostgreSQL"):
        load = Load(s, tokens)
        load.go_on(100)
        if what == "PgBouncer":
            pooler.stop()
            pooler.start(mode, size)
        else:
            s.cluster.stop()
            s.cluster.start()
        load.go_on(100)
        load.end()
        s.tap.ok(set(load.statuses) <= {200, 204, 503}, f"{what} is restarted: answers or 503, and then answers again", load.statuses)
        s.tap.ok(not load.wrong, f"{what} is restarted: each reads its own tenant's", *load.wrong[:3])


def check_change(s, pooler, tokens):
    """From session to transaction mode while workers hold prepared statements."""
    load = Load(s, tokens)
    load.go_on(100)
    pooler.reload("transaction", 2)
    load.go_on(400)
    gone = "because of SQLSTATE (26000|42P05): .*"
    wait_for(lambda: said(s, gone), 60, "statements are gone")
    load.go_on(100)
    load.end()
    s.tap.equal(set(load.statuses), {200, 204}, "the pooler begins to share under load: no request fails")
    s.tap.ok(not load.wrong, "and each reads its own tenant's", *load.wrong[:3])
    s.tap.ok(said(s, gone), "though statements were gone")


def named(s):
    """How PostgreSQL is sent the statement that reads a runtime, by its own log."""
    return {line.split("LOG:  execute ")[1].split(":")[0] for line in lines_of(s.cluster.log)
            if "LOG:  execute" in line and "runtime.cpu_nanos" in line}


with stack(plan=len(WAYS) * 6 + 4 + 3 + 2 + 1, site="stand-alone") as s:
    s.expect("worker", "STORAGE_AWAY")
    s.expect("postgresql", "terminating connection", "the database system is")
    s.secrets.append(PASSWORD)
    tokens = namespaces(s)
    pooler = Pooler(s.folder / "pooler", s.cluster)
    s.stop_worker()
    for mode, size, way in WAYS:
        for workers, name in check_way(s, pooler, tokens, mode, size, way):
            if (mode, size) == ("transaction", 3):
                check_restarts(s, pooler, tokens, mode, size)
            if mode == "session":
                check_change(s, pooler, tokens)
    for mode, wanted in (("transaction", {"<unnamed>"}), ("session", {"runtime_load"})):
        s.log_statements()
        s.cluster.log.write_text("") # nothing in it but what comes now
        pooler.start(mode, 20)
        configure(s, pooler)
        s.start_worker()
        for _ in range(3):
            s.request("GET", CONTAINER + "client0")
        s.tap.equal(named(s), wanted, f"{mode} mode: a statement is {'' if mode == 'session' else 'not '}prepared")
        s.stop_worker()
        pooler.stop()
    complaints = [line for line in lines_of(pooler.log) if "FATAL" in line]
    s.tap.equal(complaints, [], "PgBouncer has nothing to complain of")
    s.configure_worker()
    s.start_worker()
