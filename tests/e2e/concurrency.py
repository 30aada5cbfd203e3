#!/usr/bin/python3
"""Many more connections than the worker has threads: everybody is answered, in bounded time, and
idle connections hold nobody up."""
import concurrent.futures
import contextlib
import json
import sys
import time

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, CONTAINER, stack  # noqa: E402

CLIENTS = 200
ROUNDS = 5
THREADS = 4

with stack(plan=12, worker={"storage": "max_connections = 2", "listener": f"threads = {THREADS}"}) as s:
    s.register("example")

    def ask(number, connection):
        """One client's share: what it writes it reads back, through whatever thread and backend."""
        started = time.monotonic()
        name = f"client{number}"
        for turn in range(ROUNDS):
            statuses = [
                s.request("PUT", CONTAINER + name, {"cpu_nanos": turn}, connection=connection).status,
                s.request("GET", CONTAINER + name, connection=connection).data["cpu_nanos"],
                s.request("GET", CONTAINER + "absent", connection=connection).status]
            if statuses != [204, turn, 404]:
                return statuses, 0
        return None, time.monotonic() - started

    with contextlib.ExitStack() as connections, concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        opened = [connections.enter_context(contextlib.closing(s.client.connect())) for _ in range(CLIENTS)]
        for connection in opened:
            connection.connect()
        # Slow on a busy machine and under sanitizers; a client that hangs would meet nginx's 30 s.
        results = list(pool.map(ask, range(CLIENTS), opened))
        wrong = [result for result, _ in results if result]
        slowest = max(seconds for _, seconds in results)
        s.tap.equal(len(results), CLIENTS, f"{CLIENTS} clients at once, all answered")
        s.tap.ok(not wrong, "each reads what it wrote", wrong[:10])
        s.tap.ok(slowest < 25, "nobody waited for long", f"{slowest:.1f} s")

        # All 200 are still open, and idle.
        idle = [s.connect_to_worker() for _ in range(10 * THREADS)]
        s.tap.ok(sum(s.connections()) >= 10 * THREADS, "many more connections than threads idle", s.connections())
        started = time.monotonic()
        s.answer("one more while they idle", s.request("GET", CONTAINER + "example"), 200)
        s.tap.ok(time.monotonic() - started < 5, "at once")
        for one in idle:
            one.close()

    listed = s.request("LIST", CATALOG).data["runtimes"]
    s.tap.equal(len(listed), CLIENTS + 1, "every write is there")
    s.tap.equal({runtime["cpu_nanos"] for runtime in listed if runtime["name"] != "example"}, {ROUNDS - 1},
                "in its last form")
    s.tap.ok(int(s.cluster.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'runtime_catalog_worker'")) <= 2 + 1,
             "with no more database connections than max_connections, and one to follow changes")

    # One key, all at once: whole records, never a mixture.
    def overwrite(number):
        body = {"cpu_nanos": number, "memory_bytes": number, "cgroup_parent": f"/{number}/"}
        return s.request("PUT", CONTAINER + "shared", body).status

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        statuses = set(pool.map(overwrite, range(120)))
    s.tap.equal(statuses, {204}, "many overwrites of one runtime")
    shared = s.request("GET", CONTAINER + "shared").data
    s.tap.ok(shared["memory_bytes"] == shared["cpu_nanos"] and shared["cgroup_parent"] == f"/{shared['cpu_nanos']}/",
             "leave one of them, whole", json.dumps(shared))
    changes = s.cluster.sql("SELECT count(*) FROM runtime_catalog.change WHERE new->>'name' = 'shared'")
    s.tap.equal(changes, "120", "and a change row each")
