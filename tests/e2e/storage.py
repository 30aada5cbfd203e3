#!/usr/bin/python3
"""PostgreSQL stopped: 503 at once; started again: the service is back by itself within a second."""
import os
import signal
import sys
import threading
import time

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from processes import wait_for  # noqa: E402

REQUESTS = [("LIST", CATALOG, None), ("GET", CONTAINER + "example", None), ("POST", CONTAINER + "example", {}),
            ("DELETE", CONTAINER + "example", None), ("GET", CATALOG + "/nowhere", None)]


def seconds_of(action):
    started = time.monotonic()
    result = action()
    return time.monotonic() - started, result


def said(s, text):
    return sum(text in line for line in lines_of(s.worker_log))


with stack(plan=3 * len(REQUESTS) + 17) as s:
    s.expect("worker", r"STORAGE_AWAY", r"(?i)connect|storage|database")
    s.expect("postgresql", "FATAL:  terminating connection due to (administrator command|unexpected)",
             "FATAL:  the database system is (shutting down|starting up)", "FATAL:  connection to client lost")
    s.register("example", cpu_nanos=5)
    worker = s.worker.pid

    s.cluster.stop()
    for method, path, body in REQUESTS:
        seconds, response = seconds_of(lambda m=method, p=path, b=body: s.request(m, p, b))
        s.answer(f"PostgreSQL stopped: {method} {path}", response, 503)
        s.tap.ok(response.errors and response.errors[0], "which says so", response)
        s.tap.ok(seconds < 0.5 and (response.header("Retry-After") or "").isdigit(),
                 "at once, and when to come again", f"{seconds:.3f} s", response)
    began, complaints = time.monotonic(), said(s, "[ERROR]")
    wait_for(lambda: s.request("GET", CONTAINER + "example").status == 503 and said(s, "requests more)"), 20, "the log says how many it had no line for")
    s.tap.ok(said(s, "[ERROR]") - complaints <= 2 + time.monotonic() - began, "the log has one line a second, not one a request",
             said(s, "[ERROR]") - complaints, time.monotonic() - began)
    # Refusals that need no database do not wait for one.
    s.answer("a malformed body is still refused", s.request("POST", CONTAINER + "example", "{"), 400)
    s.answer("no token is still refused", s.request("LIST", CATALOG, token=None), 403)

    s.cluster.start()
    ready = time.monotonic()
    while (response := s.request("GET", CONTAINER + "example")).status == 503 and time.monotonic() - ready < 10:
        time.sleep(0.02)
    seconds = time.monotonic() - ready
    s.answer("PostgreSQL started: the runtime is there", response, 200)
    s.tap.ok(seconds < 1, "within a second", f"{seconds:.3f} s")
    s.tap.equal(response.data["cpu_nanos"], 5, "as it was")
    s.tap.equal((said(s, "[ERROR] STORAGE_AWAY: "), said(s, "storage is back: ")), (1, 1), "the log has one line of its going, and one of its coming back")
    s.answer("and can be written", s.request("POST", CONTAINER + "example", {"cpu_nanos": 6}), 204)
    s.tap.equal((s.worker.pid, s.worker.poll()), (worker, None), "the same worker all the time")

    # A restart between two requests, as a DBA does it, with connections that the pool believes in.
    for _ in range(8):
        s.request("GET", CONTAINER + "example")
    s.cluster.stop()
    s.cluster.start()
    s.tap.ok(all(s.request("GET", CONTAINER + "example").status in (200, 503) for _ in range(8)),
             "right after a restart: an answer, or 503")
    s.answer("soon after it: an answer", s.request("GET", CONTAINER + "example"), 200)

    # Backends ended one by one, under load.
    statuses = []
    end = time.monotonic() + 1.5

    def load():
        while time.monotonic() < end:
            statuses.append(s.request("GET", CONTAINER + "example").status)

    clients = [threading.Thread(target=load) for _ in range(4)]
    for client in clients:
        client.start()
    while time.monotonic() < end - 0.3:
        s.cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'runtime_catalog_worker'"
                      " ORDER BY random() LIMIT 1")
        time.sleep(0.05)
    for client in clients:
        client.join()
    s.tap.ok(statuses and set(statuses) <= {200, 503}, "backends ended under load: answers or 503, nothing else",
             {status: statuses.count(status) for status in set(statuses)})
    s.answer("and then answers again", s.request("GET", CONTAINER + "example"), 200)

    # A server that is there and says nothing must not hold a request for ever.
    backends = s.cluster.sql("SELECT pid FROM pg_stat_activity WHERE usename = 'runtime_catalog_worker'").split()
    s.tap.ok(len(backends) <= 8 + 1, "no more connections than max_connections, and one to follow changes", backends)
    for pid in backends:
        os.kill(int(pid), signal.SIGSTOP)
    try:
        seconds, response = seconds_of(lambda: s.request("GET", CONTAINER + "example"))
    finally:
        for pid in backends:
            os.kill(int(pid), signal.SIGCONT)
    s.tap.ok(response.status in (200, 503), "backends that hang: an answer or 503", response)
    s.tap.ok(seconds < 7, "and within the worker's bound", f"{seconds:.3f} s")
    s.answer("afterwards all is well", s.request("GET", CONTAINER + "example"), 200)
