#!/usr/bin/python3
"""The service manager's protocols, as systemd speaks them: it passes the socket, hears that the
worker serves, reloads and stops, and hears that it is alive, but not while its threads hang."""
import contextlib
import os
import re
import signal
import socket
import sys
import time

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from fastcgi import request  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from processes import start, stop, wait_for  # noqa: E402

WATCHDOG_MS = 300
SOCKET = "LISTEN_PID=$$ LISTEN_FDS=%d "


class Manager:
    """The end of NOTIFY_SOCKET."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(20)
        self.address = address.replace("\0", "@")

    def next(self, but=()):
        """The next message that is none of those."""
        while (message := self.socket.recv(4096).decode()) in but:
            pass
        return message

    def within(self, seconds):
        """What comes in that time, and what came before."""
        messages, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            with contextlib.suppress(TimeoutError):
                messages.append(self.socket.recv(4096).decode())
        self.socket.settimeout(20)
        return messages


with stack(plan=22) as s:
    s.expect("worker", "one is what is served", "is not a unix socket")
    s.register("example")
    s.stop_worker()
    path = s.folder / "worker.sock"

    def run(manager, script="", listener="", storage="", pass_fds=(), **environment):
        """A worker under a manager; the script is what stands before its name in a shell."""
        s.configure_worker(listener=listener, storage=storage)
        return start(["sh", "-c", f'{script} exec "$0" "$@"', s.folder / "bin/runtime-catalogd", "-c", s.folder / "worker.conf"],
                     s.worker_log, pass_fds=pass_fds,
                     env=dict(os.environ, NOTIFY_SOCKET=manager.address, **environment))

    for address in (str(s.folder / "notify"), f"\0{s.folder}/notify"):
        kind = "abstract" if address[0] == "\0" else "a path"
        manager = Manager(address)
        worker = run(manager)
        s.tap.equal(manager.next(), "READY=1", f"{kind}: the manager hears that the worker serves")
        s.answer(f"{kind}: and so it does", s.request("GET", CONTAINER + "example"), 200)
        worker.send_signal(signal.SIGHUP)
        reloading, ready = manager.next(), manager.next()
        s.tap.ok(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", reloading) and ready == "READY=1",
                 f"{kind}: that it reloads, and has", reloading, ready)
        s.tap.ok(abs(int(reloading.rpartition("=")[2]) / 1e6 - time.clock_gettime(time.CLOCK_MONOTONIC)) < 20,
                 f"{kind}: and when", reloading)
        status = stop(worker, signal.SIGTERM)
        s.tap.equal((manager.next(), status), ("STOPPING=1", 0), f"{kind}: that it stops")
        s.tap.equal(manager.within(0.1), [], f"{kind}: and nothing else")

    # The watchdog. Threads that serve, that wait for somebody, and that hang, the last with somebody waiting.
    manager = Manager(str(s.folder / "watchdog"))
    worker = run(manager, 'WATCHDOG_PID=$$', "threads = 2\n request_timeout = 30", "max_connections = 1", WATCHDOG_USEC=str(WATCHDOG_MS * 1000))
    s.tap.equal(manager.next(), "READY=1", "a worker that is watched")
    alive = manager.within(1)
    s.tap.ok(set(alive) == {"WATCHDOG=1"} and len(alive) >= 1000 / WATCHDOG_MS,
             "says that it is alive while it has nothing to do, more often than it must", alive)
    half = request("GET", CATALOG, s.root_token)[:60]
    peers = [s.connect_to_worker() for _ in range(5)]
    for peer in peers:
        peer.sendall(half)
    wait_for(lambda: s.connections()[0] >= 5, 10, "all are accepted")
    manager.within(2 * WATCHDOG_MS / 1000)
    s.tap.equal(manager.within(2 * WATCHDOG_MS / 1000), [], "not while all its threads hang and somebody waits: the manager would end it")
    for peer in peers:
        peer.close()
    s.tap.equal(manager.next(), "WATCHDOG=1", "and again when they go on")
    s.answer("and serve", s.request("GET", CONTAINER + "example"), 200)
    stop(worker, signal.SIGTERM)
    manager.within(0.1)
    worker = run(manager, 'WATCHDOG_PID=1', WATCHDOG_USEC=str(WATCHDOG_MS * 1000))
    s.tap.equal(manager.within(1)[1:], [], "a watchdog that is meant for another process is left alone")
    stop(worker, signal.SIGTERM)

    # A socket that is passed comes before the address, and is one, and a unix socket.
    passed = socket.socket(socket.AF_UNIX)
    path.unlink(missing_ok=True)
    passed.bind(str(path))
    passed.listen(16)
    number = passed.fileno()
    worker = run(manager, f"exec 3<&{number}; " + SOCKET % 1, pass_fds=[number])
    wait_for(lambda: manager.next() == "READY=1", 20, "the worker serves")
    s.answer("systemd's socket is taken although there is an address", s.request("GET", CONTAINER + "example"), 200)
    s.tap.equal((stop(worker, signal.SIGTERM), path.exists()), (0, True), "and its path stays")
    tcp = socket.create_server(("127.0.0.1", 0))
    tcp.set_inheritable(True)
    for name, listener, count, text in (("two sockets", passed, 2, "one is what is served"), ("a TCP socket", tcp, 1, "is not a unix socket")):
        number = listener.fileno()
        worker = run(manager, f"exec 3<&{number}; " + SOCKET % count, pass_fds=[number])
        s.tap.ok(worker.wait(20) == 1 and any(text in line for line in lines_of(s.worker_log)), f"{name}: refused",
                 *lines_of(s.worker_log)[-3:])
    passed.close()
    tcp.close()
    s.start_worker()
