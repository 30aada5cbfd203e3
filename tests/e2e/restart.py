#!/usr/bin/python3
"""The worker is told to stop, or is killed: what it had accepted is answered, what it had
acknowledged is there, and whatever happens every answer is Vault's JSON."""
import collections
import concurrent.futures
import json
import random
import signal
import sys

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from processes import stop, wait_for  # noqa: E402

REQUESTS = 2000
CONNECTIONS = 32
RESTARTS = 10
SEED = 20260101

# What a client at random asks: method, path below the client's own runtime, body. {} is its name.
WRITES = [("PUT", CONTAINER + "{}", {"cpu_nanos": 1}), ("POST", CONTAINER + "{}", {"memory_bytes": 2, "rootless": True}),
          ("PUT", CONTAINER + "{}", {"cgroup_parent": "/a<b>&c/"}), ("DELETE", CONTAINER + "{}", None)]
REST = [("GET", CONTAINER + "{}", None), ("GET", CATALOG, None), ("LIST", CATALOG, None),
        ("GET", CATALOG + "?list=true&type=container", None), ("GET", CONTAINER + "absent", None),
        ("DELETE", CONTAINER + "absent", None), ("PUT", CONTAINER + "{}", {"cpu_nanos": -1}),
        ("PUT", CONTAINER + "{}", "{"), ("PUT", CONTAINER + "{}/", {}), ("POST", CATALOG, {}),
        ("GET", CATALOG + "/runc/{}", None), ("GET", CATALOG + "//container/{}", None), ("BREW", CATALOG, None),
        ("PUT", CONTAINER + "{}", {"oci_runtime": "x" * 5000}), ("GET", "/v1/sys/mounts", None)]
DEFAULTS = {"cgroup_parent": "", "cpu_nanos": 0, "memory_bytes": 0, "oci_runtime": "runsc", "rootless": False}


def shape_fault(response):
    """What makes an answer unlike Vault's; None: nothing."""
    if response.status == 204:
        return "a 204 with a body" if response.body else None
    if response.header("Content-Type") != "application/json" or not isinstance(response.json, dict):
        return "no JSON object"
    if response.status == 200:
        return None if "data" in response.json else "no envelope"
    return None if list(response.json) == ["errors"] else "no list of errors"


class Storm:
    """One client: a connection, a runtime of its own, and what that runtime may look like."""

    def __init__(self, s, number):
        self.s, self.name, self.dice = s, f"client{number}", random.Random(SEED + number)
        self.possible = [None] # what a read may find: the last that was acknowledged, and what came after it in doubt
        self.statuses, self.faults = collections.Counter(), []

    def ask(self, connection):
        method, path, body = self.dice.choice(WRITES if self.dice.random() < 0.4 else REST)
        response = self.s.request(method, path.format(self.name), body, connection=connection)
        self.statuses[response.status] += 1
        if response.status == 502: # as Retry-After has it
            wait_for((self.s.folder / "worker.sock").exists, 20, "the next worker")
        fault = shape_fault(response)
        if fault:
            self.faults.append(f"{method} {path}: {fault}\n{response}")
        if (method, path, body) in WRITES:
            wanted = None if method == "DELETE" else {**DEFAULTS, **body}
            if response.status in (204, 404):
                self.possible = [wanted]
            elif response.status in (502, 503, 504):
                self.possible.append(wanted)
            else:
                self.faults.append(f"{method} {path}\n{response}")

    def run(self):
        connection = self.s.client.connect()
        for _ in range(REQUESTS // CONNECTIONS + 1):
            self.ask(connection)
        connection.close()

    def lost(self, runtimes):
        found = runtimes.get(self.name)
        return None if found in self.possible else f"{self.name}: {found} is none of {self.possible}"


def restart(s, turn):
    """Every other time without asking."""
    if turn % 2:
        stop(s.worker, signal.SIGKILL)
        s.worker = None
    else:
        s.stop_worker()
    s.start_worker()


with stack(plan=19) as s:
    s.expect("nginx", "upstream", "connect\\(\\)")
    s.expect("postgresql", "connection to client lost")
    s.register("example")
    # Only as many threads as to make requests wait for one.
    s.stop_worker()
    s.configure_worker(storage="max_connections = 1", listener="threads = 2")
    s.start_worker()

    # Five writes, of which one waits in PostgreSQL, one in the worker, and the others on the socket.
    with s.locked("example"):
        with concurrent.futures.ThreadPoolExecutor(6) as clients:
            asked = [clients.submit(s.request, "PUT", CONTAINER + "example", {"cpu_nanos": 7}) for _ in range(5)]
            wait_for(lambda: s.connections()[1] >= 3, 10, "three connections wait on the socket")
            stopping = clients.submit(stop, s.worker, signal.SIGTERM)
            wait_for(lambda: not (s.folder / "worker.sock").exists(), 10, "the worker stops accepting")
            late = s.request("GET", CONTAINER + "example")
            s.tap.ok(not any(one.done() for one in asked), "told to stop, the worker waits for what it accepted")
            s.answer("who comes now is told at once", late, 502, like="does not answer")
            # The lock goes, and everybody who was there is answered.
            s.unlock()
            answers = [one.result() for one in asked]
            status = stopping.result()
    for number, response in enumerate(answers):
        s.answer(f"request {number + 1} of those that were there", response, 204)
    s.tap.equal(status, 0, "and the worker ends in order")
    s.worker = None

    # A worker that cannot finish: the bound of its stop.
    s.configure_worker(listener='shutdown_timeout = "300ms"')
    s.start_worker()
    with s.locked("example"):
        with concurrent.futures.ThreadPoolExecutor(1) as clients:
            held = clients.submit(s.request, "PUT", CONTAINER + "example", {"cpu_nanos": 8})
            wait_for(lambda: s.lock_waits() == 1, 10, "the write waits for the lock")
            status = stop(s.worker, signal.SIGTERM)
            s.answer("told to stop while a write waits for ever: the client is told", held.result(), 502)
    s.worker = None
    s.tap.equal(status, 0, "and the worker ends in order")
    s.tap.ok(any("[WARN]" in line and "1 requests or kept" in line for line in lines_of(s.worker_log)),
             "but says what it left")

    # A second worker takes the path while the first still has work: no moment without one.
    s.configure_worker()
    s.start_worker()
    with s.locked("example"):
        with concurrent.futures.ThreadPoolExecutor(2) as clients:
            held = clients.submit(s.request, "PUT", CONTAINER + "example", {"cpu_nanos": 9})
            wait_for(lambda: s.lock_waits() == 1, 10, "the write waits for the lock")
            first = s.worker
            stopping = clients.submit(stop, first, signal.SIGTERM)
            wait_for(lambda: not (s.folder / "worker.sock").exists(), 10, "the first stops accepting")
            s.start_worker()
            s.answer("the next worker answers while the last one ends", s.request("GET", CONTAINER + "example"), 200)
            s.unlock()
            s.answer("which finishes its own", held.result(), 204)
            s.tap.equal(stopping.result(), 0, "and ends in order")
    s.answer("the path is still the next one's", s.request("GET", CONTAINER + "example"), 200)

    # 2,000 requests at random while the worker is restarted, and killed, under them.
    storms = [Storm(s, number) for number in range(CONNECTIONS)]
    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as clients:
        running = [clients.submit(storm.run) for storm in storms]
        turns = 0
        while turns < RESTARTS:
            seen = sum(sum(storm.statuses.values()) for storm in storms)
            share = REQUESTS * (turns + 1) // (RESTARTS + 1)
            wait_for(lambda share=share: sum(sum(storm.statuses.values()) for storm in storms) >= share, 60, "requests go on")
            restart(s, turns)
            turns += 1
        for one in running:
            one.result()
    statuses = sum((storm.statuses for storm in storms), collections.Counter())
    faults = [fault for storm in storms for fault in storm.faults]
    print(f"# {sum(statuses.values())} requests, {turns} restarts: {json.dumps(dict(sorted(statuses.items())))}, seed {SEED}")
    s.tap.ok(not faults, "every answer is Vault-shaped JSON", *faults[:5])
    s.tap.ok({200, 204, 400, 404, 405} <= set(statuses) <= {200, 204, 400, 404, 405, 502, 503, 504},
             "answers of every kind, and none that has no place here", statuses)
    s.tap.ok(sum(statuses.values()) >= REQUESTS, "all were answered", statuses)
    runtimes = {runtime.pop("name"): runtime for runtime in s.request("LIST", CATALOG).data["runtimes"]}
    for runtime in runtimes.values():
        runtime.pop("type")
    s.tap.equal([lost for storm in storms if (lost := storm.lost(runtimes))], [], "no accepted write is lost")
