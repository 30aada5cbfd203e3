#!/usr/bin/python3
"""Several workers share one socket that they inherit, as spawn-fcgi hands it over and as systemd
does: all serve, and one that is told to stop takes no request with it."""
import collections
import concurrent.futures
import signal
import subprocess
import sys
import threading

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from harness import CONTAINER, HANDED, stack  # noqa: E402
from processes import stop, wait_for  # noqa: E402

CLIENTS = 16


class Load:
    """Clients that write and read without a pause, each on a connection of its own."""

    def __init__(self, s):
        self.s = s
        self.statuses = collections.Counter()
        self.wrong = []
        self.over = threading.Event()
        self.pool = concurrent.futures.ThreadPoolExecutor(CLIENTS)
        self.clients = [self.pool.submit(self.run, number) for number in range(CLIENTS)]

    def run(self, number):
        connection = self.s.client.connect()
        turn = 0
        while not self.over.is_set():
            turn += 1
            written = self.s.request("PUT", CONTAINER + f"client{number}", {"cpu_nanos": turn}, connection=connection)
            read = self.s.request("GET", CONTAINER + f"client{number}", connection=connection)
            self.statuses.update([written.status, read.status])
            if written.status == 204 and (read.data or {}).get("cpu_nanos") != turn:
                self.wrong.append(read)
        connection.close()

    def total(self):
        return sum(self.statuses.values())

    def go_on(self, requests):
        """Waits until so many more were answered."""
        wanted = self.total() + requests
        wait_for(lambda: self.total() >= wanted or any(one.done() for one in self.clients), 30, "requests are answered")

    def end(self):
        self.over.set()
        for one in self.clients:
            one.result()
        self.pool.shutdown()


def served(s, name):
    """How many requests a worker has answered."""
    return sum("request_id=" in line for line in lines_of(s.folder / f"worker-{name}.log"))


with stack(plan=7 * len(HANDED) + 2) as s:
    s.stop_worker()
    for handed in HANDED:
        key = handed.split()[0]
        with s.listen_for_workers() as listener:
            workers = {name: s.start_sharing(listener, name, handed) for name in (f"{key}-1", f"{key}-2")}
            first, second = workers
            load = Load(s)
            wait_for(lambda: served(s, first) and served(s, second), 30, "both workers serve")
            s.tap.ok(True, f"{handed}: two workers on one socket, and requests reach both")
            # The kernel gives one all connections for a while, then the other: stop the one that has them.
            load.go_on(500)
            seen = served(s, first)
            wait_for(lambda: served(s, first) > seen, 30, "the one to be stopped has requests")
            status = stop(workers[first], signal.SIGTERM)
            before = served(s, second)
            load.go_on(500)
            load.end()
            s.tap.equal(status, 0, f"{handed}: one is told to stop under load, and does in order")
            s.tap.equal(set(load.statuses), {200, 204}, f"{handed}: no request is lost ({load.total()} of {CLIENTS} clients)")
            s.tap.ok(not load.wrong, f"{handed}: each client reads what it wrote", *load.wrong[:3])
            s.tap.ok(served(s, second) - before >= 500, f"{handed}: the other serves all from then on", before, served(s, second))
            s.tap.ok((s.folder / "worker.sock").exists(), f"{handed}: and the socket keeps its path, which is not theirs")
            s.tap.equal(stop(workers[second], signal.SIGTERM), 0, f"{handed}: the other stops in order, too")

    # Nothing was handed over, or a socket that is for another process.
    with s.listen_for_workers() as listener:
        for name, before in (("no socket", ""), ("a socket for another process", f"LISTEN_PID=1 LISTEN_FDS=1 exec 3<&{listener.fileno()};")):
            done = subprocess.run(["sh", "-c", before + 'export LISTEN_PID LISTEN_FDS; exec "$0" "$@"', s.folder / "bin/runtime-catalogd",
                                   "-c", s.folder / "worker.conf"], stdin=subprocess.DEVNULL, pass_fds=[listener.fileno()],
                                  capture_output=True, text=True, check=False, timeout=20)
            s.tap.ok(done.returncode == 1 and "neither systemd nor file descriptor 0 brought a listening socket" in done.stderr,
                     f"{name}: the worker says that it has none", done)
    (s.folder / "worker.sock").unlink()
    s.configure_worker()
    s.start_worker()
