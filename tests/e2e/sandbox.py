#!/usr/bin/python3
"""The sandbox around the worker that serves: each of its threads is in it, its files cannot be
written, and it has all that a worker needs which reaches PostgreSQL by name, over TCP and TLS,
reloads, and is told wrong things. (What it refuses is tested in unit/sandbox_test.c.)"""
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from harness import CONTAINER, stack  # noqa: E402
from processes import wait_for  # noqa: E402


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


with stack(plan=13) as s:
    def statuses():
        folder = f"/proc/{s.worker.pid}/task"
        for task in os.listdir(folder): # one of them may be about to end
            with contextlib.suppress(FileNotFoundError), open(f"{folder}/{task}/status", encoding="ascii") as file:
                yield dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)

    def said(text):
        return sum(text in line for line in lines_of(s.worker_log))

    def reload(expected="configuration reloaded"):
        before = said(expected)
        s.worker.send_signal(signal.SIGHUP)
        wait_for(lambda: said(expected) > before, 20, expected)

    s.expect("worker", "not reloaded", "STORAGE_AWAY")
    s.expect("postgresql", "terminating connection due to administrator command", "connection to client lost")
    s.register("example")
    with open("/proc/self/status", encoding="ascii") as file: # a container may have a filter of its own
        none = next(int(line.split()[1]) for line in file if line.startswith("Seccomp_filters"))

    def filters():
        return {int(status["Seccomp_filters"]) - none for status in statuses()}

    if "built without libseccomp" in s.worker_log.read_text():
        s.tap.skip("every thread is in its two filters", "built without libseccomp")
    else:
        s.tap.equal(filters(), {2}, "every thread is in its two filters")
    s.tap.equal({status["NoNewPrivs"] for status in statuses()}, {"1"}, "and can get no rights")

    entered = filters()

    # By name, over TCP, with TLS that is verified, as a database on another machine is reached.
    port = free_port()
    for name in ("server.pem", "server.key"):
        shutil.copy(s.folder / "nginx" / name, s.cluster.data)
    (s.cluster.data / "server.key").chmod(0o600)
    for setting in (f"port = {port}", "listen_addresses = '127.0.0.1'", "ssl = on", "ssl_cert_file = 'server.pem'",
                    "ssl_key_file = 'server.key'"):
        s.cluster.sql(f"ALTER SYSTEM SET {setting}")
    s.cluster.stop()
    os.environ["PGPORT"] = str(port) # for the tool and psql
    s.cluster.start()
    s.stop_worker()
    secure = (f"host=localhost port={port} dbname=runtime_catalog user=runtime_catalog_worker"
              f" sslmode=verify-full sslrootcert={s.folder}/nginx/ca.pem")
    url = s.cluster.dsn("runtime_catalog_worker")
    s.configure_worker(edit=lambda text: text.replace(url, secure))
    s.start_worker()
    s.answer("by name, over TCP and TLS", s.request("GET", CONTAINER + "example"), 200)
    s.tap.equal(s.cluster.sql("SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)"
                              " WHERE usename = 'runtime_catalog_worker'"), "t", "and PostgreSQL says so")
    reload()
    s.answer("after a reload", s.request("PUT", CONTAINER + "example", {"cpu_nanos": 1}), 204)
    s.configure_worker(edit=lambda text: text.replace(url, secure.replace("nginx/ca.pem", "nowhere.pem")))
    reload("not reloaded")
    s.configure_worker(edit=lambda text: text.replace(url, secure.replace("localhost", "no.invalid,localhost").replace(
        f"port={port}", f"port={port} connect_timeout=2")))
    s.worker.send_signal(signal.SIGHUP)
    s.answer("a certificate and a host that there are not", s.request("GET", CONTAINER + "example"), 200)
    s.configure_worker(edit=lambda text: text.replace(url, secure))
    reload()
    s.cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'runtime_catalog_worker'")
    wait_for(lambda: s.request("GET", CONTAINER + "example").status == 200, 20, "new connections")
    s.answer("connections that PostgreSQL cut are made again", s.request("GET", CONTAINER + "example"), 200)
    for _ in range(3):
        s.register("example", cpu_nanos=2)
    s.tap.equal(s.worker.poll(), None, "nothing of it is a call that the sandbox kills for")

    # Files: the audit log alone, in its folder alone.
    with tempfile.TemporaryDirectory(dir=s.folder.parent) as elsewhere:
        s.configure_worker(edit=lambda text: text.replace(url, secure).replace(str(s.folder / "audit.log"), f"{elsewhere}/audit.log"))
        if "(Landlock)" in s.worker_log.read_text():
            s.tap.skip("no other folder can be written", "this kernel has no Landlock")
        else:
            reload("not reloaded")
            s.tap.ok(said(f"{elsewhere}/audit.log: Permission denied") == 1 and not os.listdir(elsewhere),
                     "no other folder can be written", *lines_of(s.worker_log)[-3:])
    s.configure_worker(edit=lambda text: text.replace(url, secure).replace("audit.log", "audit.second.log"))
    reload()
    s.answer("but another file in the audit log's", s.request("GET", CONTAINER + "example"), 200)

    # A restart is needed, and said to be, to leave it.
    s.configure_worker(edit=lambda text: text.replace(url, secure).replace('"kill"', '"off"'))
    reload("with a restart only")
    s.tap.equal(filters(), entered, "nobody gets out by a reload")
    s.stop_worker()
    s.start_worker()
    s.tap.equal(filters(), {0}, "seccomp = \"off\": no filter")
    s.answer("and served all the same", s.request("GET", CONTAINER + "example"), 200)
