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
from coercion import outcome  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from processes import stop, wait_for  # noqa: E402
from values import TABLE, body_of  # noqa: E402

REQUESTS = 2000
CONNECTIONS = 32
RESTARTS = 10
SEED = 20260101

# Who asks, what, and how often of a hundred times; {} is the client's own runtime. Bodies of writes
# come from the table of fields and values, and what they lead to from its oracle.
CALLERS = {"root": 70, "writer": 10, "reader": 8, "no sudo": 4, "unknown": 4, None: 4}
REQUESTS_AT_RANDOM = {
    "PUT": (CONTAINER + "{}", 25), "POST": (CONTAINER + "{}", 10), "DELETE": (CONTAINER + "{}", 8),
    "GET": (CONTAINER + "{}", 25), "LIST": (CATALOG, 6), "GET ": (CATALOG + "?list=true&type=container", 2),
    "GET  ": (CONTAINER + "absent", 2), "DELETE ": (CONTAINER + "absent", 2), "PUT ": (CONTAINER + "{}/", 2),
    "POST ": (CATALOG, 2), "GET   ": (CATALOG + "/runc/{}", 2), "GET    ": (CATALOG + "//container/{}", 2),
    "BREW": (CATALOG, 2), "PATCH": (CONTAINER + "{}", 2), "HELP": (CATALOG, 2), "OPTIONS": (CONTAINER + "{}", 2),
    "GET     ": ("/v1/sys/mounts", 2), "LIST ": (CATALOG + "?type=docker", 2),
}
MAY_WRITE, MAY_READ = {"root", "writer"}, {"root", "reader"}
AWAY = {502, 503, 504}


def shape_fault(response):
    """What makes an answer unlike Vault's; None: nothing."""
    if response.status == 204:
        return "a 204 with a body" if response.body else None
    if response.header("Content-Type") != "application/json" or not isinstance(response.json, dict):
        return "no JSON object"
    if response.status == 200:
        return None if "data" in response.json or "help" in response.json else "no envelope"
    return None if list(response.json) == ["errors"] else "no list of errors"


class Storm:
    """One client: a connection, a runtime of its own, and what that runtime may look like."""

    def __init__(self, s, number, tokens):
        self.s, self.name, self.tokens, self.dice = s, f"client{number}", tokens, random.Random(SEED + number)
        self.possible = [None] # the last that was acknowledged or seen, and what came after it in doubt
        self.statuses, self.faults = collections.Counter(), []

    def choose(self, weights):
        return self.dice.choices(list(weights), list(weights.values()))[0]

    def body(self):
        field, value = self.dice.choice(TABLE)
        return body_of(field, value, self.dice.randrange(10**6), self.dice.random() < 0.5)

    def ask(self, connection):
        method = self.choose({name: weight for name, (_, weight) in REQUESTS_AT_RANDOM.items()})
        path, caller = REQUESTS_AT_RANDOM[method][0], self.choose(CALLERS)
        own, method = path == CONTAINER + "{}", method.strip()
        body = self.body() if method in ("PUT", "POST") else None
        response = self.s.request(method, path.format(self.name), body, token=self.tokens[caller], connection=connection)
        self.statuses[response.status] += 1
        fault = shape_fault(response)
        if not fault and own and method in ("PUT", "POST", "DELETE", "GET"):
            fault = self.follow(method, caller, body, response)
        if not fault and path == CATALOG and response.status == 200 and response.data:
            fault = self.see(runtimes_of(response).get(self.name))
        if fault:
            self.faults.append(f"{caller}: {method} {path} {body}: {fault}\n{response}")
        return response.status

    def follow(self, method, caller, body, response):
        """What a request of the client's own runtime means for it."""
        if method == "GET":
            if caller in MAY_READ and response.status in (200, 404):
                return self.see(runtime_of(response.data) if response.status == 200 else None)
            return None if response.status in AWAY or caller not in MAY_READ else "a read that may be"
        wanted = outcome(body)[0] if body else None
        if response.status in AWAY:
            if body is None or wanted:
                self.possible.append(wanted)
            return None
        if caller not in MAY_WRITE:
            return None if response.status in (400, 403) else "a write that may not be"
        if method == "DELETE":
            return self.deleted(response.status)
        if response.status != (204 if wanted else 400):
            return f"not as the oracle has it: {wanted}"
        if wanted:
            self.possible = [wanted]
        return None

    def deleted(self, status):
        fault = None
        if status == 404:
            fault = self.see(None)
        elif status != 204 or all(one is None for one in self.possible):
            fault = f"{status}, where there may be {self.possible}"
        self.possible = [None]
        return fault

    def see(self, found):
        """What is read is true from now on, and must have been possible."""
        if found not in self.possible:
            return f"{found} is none of {self.possible}"
        self.possible = [found]
        return None

    def run(self, answered):
        connection = self.s.client.connect()
        for _ in range(REQUESTS // CONNECTIONS + 1):
            while self.ask(connection) in AWAY: # as Retry-After has it
                wait_for(self.s.worker_answers, 20, "the next worker")
            answered.append(self.name)
        connection.close()


def runtime_of(data):
    return {key: value for key, value in data.items() if key not in ("name", "type")}


def runtimes_of(response):
    return {runtime["name"]: runtime_of(runtime) for runtime in response.data["runtimes"]}


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

    # Five writes, of which one waits in PostgreSQL, one for its connection, and the others for a thread.
    with s.locked("example"):
        with concurrent.futures.ThreadPoolExecutor(6) as clients:
            asked = [clients.submit(s.request, "PUT", CONTAINER + "example", {"cpu_nanos": 7}) for _ in range(5)]
            wait_for(lambda: s.connections()[0] >= 5, 10, "all five were accepted")
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
    s.tap.ok(any("[WARN]" in line and "1 requests left" in line for line in lines_of(s.worker_log)),
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
    s.configure_worker()
    rights = {"writer": ["update", "delete", "sudo"], "reader": ["read", "list", "sudo"], "no sudo": ["read", "update"]}
    tokens = {name: s.token_with(name.replace(" ", "-"), "sys/plugins/runtimes/catalog*", *capabilities)
              for name, capabilities in rights.items()}
    tokens |= {"root": s.root_token, "unknown": "hvs." + "0" * 24, None: None}
    storms, answered = [Storm(s, number, tokens) for number in range(CONNECTIONS)], []
    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as clients:
        running = [clients.submit(storm.run, answered) for storm in storms]
        for turn in range(RESTARTS):
            share = REQUESTS * (turn + 1) // (RESTARTS + 1)
            wait_for(lambda share=share: len(answered) >= share, 60, "requests go on")
            restart(s, turn)
        for one in running:
            one.result()
    statuses = sum((storm.statuses for storm in storms), collections.Counter())
    faults = [fault for storm in storms for fault in storm.faults]
    print(f"# {len(answered)} answers of the worker, {RESTARTS} restarts, seed {SEED}: {json.dumps(dict(sorted(statuses.items())))}")
    s.tap.ok(not faults, "every answer is Vault-shaped JSON, and what was accepted is what is read", *faults[:5])
    s.tap.ok({200, 204, 400, 403, 404, 405} <= set(statuses) <= {200, 204, 400, 403, 404, 405} | AWAY,
             "answers of every kind, and none that has no place here", statuses)
    s.tap.ok(len(answered) >= REQUESTS, "all were answered", len(answered))
    runtimes = runtimes_of(s.request("LIST", CATALOG))
    lost = [fault for storm in storms if (fault := storm.see(runtimes.get(storm.name)))]
    s.tap.equal(lost, [], "no accepted write is lost")
