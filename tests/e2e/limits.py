#!/usr/bin/python3
"""Every wait ends: a PostgreSQL that hangs, a lock that is held, a request that takes too long.
And while some wait, others are answered."""
import concurrent.futures
import sys
import time

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from harness import CATALOG, CONTAINER, NO_TOKEN, UNCACHED, stack  # noqa: E402
from processes import wait_for  # noqa: E402

CLIENTS = 100
CONNECTIONS = 8
WAITING = 24 # half of the 64 threads, less the connections

# Long where the test ends a wait itself, short where the worker is to do it.
PATIENT = 'connect_timeout = "8s"\n pool_timeout = "8s"\n statement_timeout = "8s"'
HASTY = 'connect_timeout = "1s"\n pool_timeout = "1s"\n statement_timeout = "1s"'


def seconds_of(action):
    started = time.monotonic()
    return action(), time.monotonic() - started


def said(s, text):
    return sum(text in line for line in lines_of(s.worker_log))


with stack(plan=18, worker={"storage": PATIENT, "listener": 'request_timeout = "16s"'}) as s:
    s.expect("worker", "STORAGE_AWAY")
    s.expect("postgresql", "connection to client lost")
    s.register("example")
    s.register("other")

    def read(_=None):
        return s.request("GET", CONTAINER + "example")

    def restart(**worker):
        s.stop_worker()
        s.configure_worker(**worker, **UNCACHED) # what is remembered is said for a moment more
        s.start_worker()

    # PostgreSQL hangs while many ask. As many as the pool has room for wait, nobody else.
    resume = s.cluster.suspend()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
        asked = [clients.submit(read) for _ in range(CLIENTS)]
        refused = CLIENTS - CONNECTIONS - WAITING
        wait_for(lambda: sum(one.done() for one in asked) >= refused, 7, "those who find no room are told")
        early = [one.result() for one in asked if one.done()]
        without = [s.request("GET", CONTAINER + "example", token=None) for _ in range(2 * CLIENTS)]
        malformed = s.request("PUT", CONTAINER + "example", "{")
        still = sum(not one.done() for one in asked)
        resume()
        late = [one.result() for one in asked if one.result() not in early]
    s.tap.equal({response.status for response in early}, {503}, "a hang: who finds no room gets 503")
    s.answer("which is whole", early[0], 503, like="storage is not available")
    s.tap.equal(early[0].header("Retry-After"), "1", "and says when to come again")
    s.tap.equal({(response.status, response.errors[0]) for response in without}, {(403, NO_TOKEN)},
                "meanwhile who needs no storage is answered")
    s.answer("a malformed body as well", malformed, 400)
    s.tap.ok(0 < still <= CONNECTIONS + WAITING, "while others wait", still)
    s.tap.equal({response.status for response in late}, {200}, "who are served when the hang is over")

    # A longer hang: each waits no longer than a statement may take, and soon nobody waits at all.
    restart(storage=HASTY)
    s.answer("with short time-outs: an answer", read(), 200)
    resume = s.cluster.suspend()
    alone, seconds = seconds_of(read)
    s.tap.ok(alone.status == 503 and 1 <= seconds < 5, "a hang: 503 after statement_timeout, not before", f"{seconds:.3f} s")
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
        first = {response.status for response in clients.map(read, range(CLIENTS))}
        before = said(s, "did not answer a moment ago")
        then = {response.status for response in clients.map(read, range(CLIENTS))}
    at_once = said(s, "did not answer a moment ago") - before
    resume()
    s.tap.equal(first | then, {503}, "a long hang: 503 for all")
    s.tap.ok(at_once > CLIENTS / 2, "and soon without asking", at_once)
    wait_for(lambda: read().status == 200, 10, "the service is back by itself")

    # One row is locked: who writes it waits in vain, the others do not notice.
    with s.locked("example"):
        with concurrent.futures.ThreadPoolExecutor(4) as clients:
            held = [clients.submit(s.request, "PUT", CONTAINER + "example", {}) for _ in range(4)]
            others = []
            while not all(one.done() for one in held):
                others.append(s.request("PUT", CONTAINER + "other", {"cpu_nanos": len(others)}).status)
    s.tap.equal({one.result().status for one in held}, {503}, "a locked row: 503")
    s.tap.equal(set(others), {204}, "writes of others go on all the while")

    # The bound of the whole request is the least of all.
    restart(storage=PATIENT.replace('connect_timeout = "8s"', 'connect_timeout = "1s"'), listener='request_timeout = "2500ms"')
    before = said(s, ": 503 STORAGE_AWAY")
    resume = s.cluster.suspend()
    response, seconds = seconds_of(read)
    resume()
    s.answer("the whole request has a bound", response, 503)
    s.tap.ok(2.5 <= seconds < 7.5, "which is request_timeout, less than all others", f"{seconds:.3f} s")
    s.tap.equal(said(s, ": 503 STORAGE_AWAY"), before + 1, "which the worker keeps")
    wait_for(lambda: read().status == 200, 10, "the service is back by itself")

    changes = s.request("GET", CONTAINER + "other").data["cpu_nanos"]
    s.tap.equal(changes, len(others) - 1, "nothing that was acknowledged is lost")
    s.tap.equal(s.request("LIST", CATALOG).status, 200, "and all is well")
