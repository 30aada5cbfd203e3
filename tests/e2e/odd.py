#!/usr/bin/python3
"""Odd circumstances: what operators do by mistake, and machines that run out of things. The
worker says what is wrong, does no harm, and recovers by itself."""
import concurrent.futures
import os
import resource
import signal
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from processes import start, stop, wait_for  # noqa: E402

# A connection_url, and what -t says of it; never the password.
URLS = [
    ("postgresql://u:hush/part@127.0.0.1:1/x", "the port is no number"),
    ("postgresql://u:first@hush@127.0.0.1:1/x", "the host holds an '@'"),
    ("hush", "neither keyword=value pairs nor"),
]

with stack(plan=len(URLS) + 17) as s:
    s.expect("worker", "STORAGE_AWAY")
    s.register("example")
    socket = s.folder / "worker.sock"

    def read(_=None):
        return s.request("GET", CONTAINER + "example").status

    def trial(name, text, *arguments):
        """Another worker with a configuration of its own: its exit status and what it says."""
        path = s.folder / name
        path.write_text(text)
        return subprocess.run([s.folder / "bin/runtime-catalogd", "-c", path, *arguments], capture_output=True, text=True,
                              check=False, timeout=20)

    def configuration(address, url=None):
        url = url or s.cluster.dsn("runtime_catalog_worker")
        return (f'storage "postgresql" {{ connection_url = "{url}" }}\n'
                f'listener "fastcgi" {{ address = "unix:{address}" }}\n')

    for url, text in URLS:
        done = trial("url.conf", configuration(s.folder / "x.sock", url), "-t")
        s.tap.ok(done.returncode == 1 and text in done.stderr and "hush" not in done.stderr, f"-t: {text}", done)
    done = trial("folder.conf", configuration("/nonexistent/x.sock"), "-t")
    s.tap.ok(done.returncode == 1 and "listener address: /nonexistent/: No such file" in done.stderr,
             "-t: a socket that could not be made", done)
    precious = s.folder / "precious.txt"
    precious.write_text("precious")
    done = trial("file.conf", configuration(precious))
    s.tap.ok(done.returncode == 1 and "Address already in use" in done.stderr, "a file in place of the socket is an error", done)
    s.tap.equal(precious.read_text(), "precious", "and stays")
    done = trial("taken.conf", configuration(socket))
    s.tap.ok(done.returncode == 1 and "Address already in use" in done.stderr, "a socket that somebody serves is an error", done)
    s.tap.equal(read(), 200, "and is served by them")
    os.mkfifo(s.folder / "pipe.conf")
    done = subprocess.run([s.folder / "bin/runtime-catalogd", "-t", "-c", s.folder / "pipe.conf"], capture_output=True,
                          text=True, check=False, timeout=20)
    s.tap.ok(done.returncode == 1 and "pipe.conf" in done.stderr, "a pipe is no configuration", done)

    s.worker.send_signal(signal.SIGUSR1)
    s.tap.equal({read() for _ in range(100)}, {200}, "SIGUSR1, with which nginx opens its logs anew, means nothing")

    # Descriptors run out and come back.
    soft, hard = resource.prlimit(s.worker.pid, resource.RLIMIT_NOFILE)
    threads = len(os.listdir(f"/proc/{s.worker.pid}/task"))
    resource.prlimit(s.worker.pid, resource.RLIMIT_NOFILE, (5, hard))
    s.expect("nginx", "upstream")
    # What waits in accept(2) has its number already: these use up the last ones that it may have.
    peers = [s.connect_to_worker() for _ in range(threads + 20)]
    wait_for(lambda: s.connections()[1] > 0, 10, "connections that nobody accepts")
    for peer in peers:
        peer.close()
    late = s.connect_to_worker()
    wait_for(lambda: s.connections()[1] > 0, 10, "a connection that cannot be accepted")
    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        asked = [clients.submit(read) for _ in range(8)]
        resource.prlimit(s.worker.pid, resource.RLIMIT_NOFILE, (soft, hard))
        s.tap.equal({one.result() for one in asked}, {200}, "no descriptors for a while: nobody is lost")
    late.close()
    s.tap.equal(len(os.listdir(f"/proc/{s.worker.pid}/task")), threads, "nor a thread")

    # PostgreSQL has room for fewer connections than the pool would make.
    s.cluster.sql("ALTER ROLE runtime_catalog_worker CONNECTION LIMIT 2")
    s.expect("postgresql", "too many connections for role")
    s.cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'runtime_catalog_worker'")
    s.expect("postgresql", "terminating connection due to administrator command")
    wait_for(lambda: read() == 200, 10, "the service is back by itself")
    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        statuses = list(clients.map(read, range(400)))
    s.tap.equal(set(statuses), {200}, "room for fewer connections: they are shared")
    s.cluster.sql("ALTER ROLE runtime_catalog_worker CONNECTION LIMIT -1")

    # The reload frees what was read at the start; the stop still knows its socket.
    s.worker.send_signal(signal.SIGHUP)
    wait_for(lambda: any("configuration reloaded" in line for line in lines_of(s.worker_log)), 10, "a reload")
    s.tap.equal({read() for _ in range(20)}, {200}, "after a reload: answers")
    s.stop_worker()
    s.tap.equal((socket.exists(), s.worker_status), (False, 0), "and the stop takes its socket away")

    # Two workers by mistake: the first must not take the second's socket with it.
    s.start_worker()
    first = s.worker
    socket.unlink()
    s.start_worker()
    s.tap.equal(stop(first, signal.SIGTERM), 0, "a worker whose socket was replaced ends in order")
    s.tap.equal((socket.exists(), read()), (True, 200), "and leaves the other one's alone")

    # Nobody reads the log.
    s.stop_worker()
    unread, log = os.pipe()
    s.worker = subprocess.Popen([s.folder / "bin/runtime-catalogd", "-c", s.folder / "worker.conf"], stderr=log)
    os.close(log)
    wait_for(s.worker_answers, 20, "the worker listens")
    s.tap.equal({read() for _ in range(800)}, {200}, "a log that nobody reads holds nobody up")
    s.worker.send_signal(signal.SIGTERM)
    s.tap.equal(s.worker.wait(20), 0, "not the stop either")
    os.close(unread)
    s.worker = None
    s.start_worker()
    s.tap.equal(s.request("LIST", CATALOG).status, 200, "all is well")
