#!/usr/bin/python3
"""The file of the audit log: what cannot be recorded is not done; lines of many threads and
processes do not mix; rotation loses none."""
import concurrent.futures
import fcntl
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from harness import CHECKOUT, CONTAINER, stack  # noqa: E402
from processes import stop, wait_for  # noqa: E402
from records import faults, records  # noqa: E402

REFUSED = "audit: the request could not be recorded and was refused: "
UNTOLD = "audit: the request was done, but its answer could not be recorded: "
SHARERS = 3
WAITERS = 20

# What -t and a start say of a path that cannot be.
UNFIT = [("a folder that is not there", "none/audit.log", "No such file or directory"),
         ("a folder", "", "Is a directory"),
         ("a pipe", "pipe", "Invalid argument"),
         ("a file of somebody else's", "foreign", "Permission denied")]


class Clients:
    """Write without a pause until the end; every id that was answered is in `ids`."""

    def __init__(self, s, count=8):
        self.s = s
        self.over = threading.Event()
        self.statuses = []
        self.pool = concurrent.futures.ThreadPoolExecutor(count)
        self.running = [self.pool.submit(self.run, f"client{number}") for number in range(count)]

    def run(self, name):
        connection = self.s.client.connect()
        while not self.over.is_set():
            self.statuses.append(self.s.request("PUT", CONTAINER + name, {"cgroup_parent": "x" * 3000}, connection=connection).status)
        connection.close()

    def go_on(self, requests):
        wanted = len(self.statuses) + requests
        wait_for(lambda: len(self.statuses) >= wanted or any(one.done() for one in self.running), 60, "requests are answered")

    def end(self):
        self.over.set()
        for one in self.running:
            one.result()
        self.pool.shutdown()


class Test:
    def __init__(self, s):
        self.s = s

    def limit(self, size=resource.RLIM_INFINITY):
        """As if the disk were full once the file has that size."""
        resource.prlimit(self.s.worker.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def size(self):
        return self.s.audit_log.stat().st_size

    def put(self, name):
        return self.s.request("PUT", CONTAINER + name, {})

    def exists(self, name):
        return self.s.cluster.sql(f"SELECT count(*) FROM runtime_catalog.runtime WHERE name = '{name}'") == "1"

    def said(self, text):
        return [line for line in lines_of(self.s.worker_log) if text in line]

    def last(self, count):
        return records(self.s.audit_log.read_bytes())[-count:]

    def hang_up(self):
        before = len(self.said("configuration"))
        self.s.worker.send_signal(signal.SIGHUP)
        wait_for(lambda: len(self.said("configuration")) > before, 10, "the signal is answered")

    def run_full(self):
        s = self.s
        s.expect("worker", re.escape(REFUSED), re.escape(UNTOLD), "audit: the answer could not be recorded")
        before = self.size()
        self.put("aaaa1")
        lengths = [len(line) + 1 for line in s.audit_log.read_bytes()[before:].splitlines()]
        for name, room in (("no byte", 0), ("a part of a record", lengths[0] - 1)):
            before = self.size()
            self.limit(before + room)
            s.answer(f"room for {name}: refused", self.put("aaaa2"), 500, errors=["internal error"])
            s.tap.ok(not self.exists("aaaa2"), "before anything is done")
            s.tap.equal(self.size(), before, "and nothing of it is left in the file")
            s.tap.ok(self.said(REFUSED + "File too large"), "the log says why", *lines_of(s.worker_log)[-3:])
        s.answer("reads, too", s.request("GET", CONTAINER + "aaaa1"), 500, errors=["internal error"])
        s.answer("and refusals", s.request("GET", CONTAINER + "aaaa1", token="hvs.unknown"), 500, errors=["internal error"])
        s.tap.equal(s.request("GET", "/v1/sys/health", token=None).status, 200, "health is not recorded and answers")
        self.limit(self.size() + lengths[0] + lengths[1] - 1)
        s.answer("room for the first record of two: 500", self.put("aaaa3"), 500, errors=["internal error"])
        s.tap.ok(self.exists("aaaa3"), "it is done all the same")
        line = self.said(UNTOLD)[-1]
        [record] = self.last(1)
        s.tap.ok(record["type"] == "request" and f"request_id={record['request']['id']}" in line, "which the log says, with the id of the record that there is", line, record)
        self.limit()
        s.answer("room again: served again", self.put("aaaa2"), 204)
        s.tap.ok(not faults(s.audit_log.read_bytes()), "and every line is whole", *faults(s.audit_log.read_bytes()))

    def run_killed(self):
        """A worker that was killed in the middle of a line leaves a part of it."""
        with open(self.s.audit_log, "ab") as file:
            file.write(b'{"time":"2000')
        self.put("bbbb1")
        lines = self.s.audit_log.read_bytes().splitlines()
        self.s.tap.ok(lines[-3].endswith(b'{"time":"2000') and not faults(b"\n".join(lines[-2:]) + b"\n"),
                      "what was left of a line ends where the next record begins", *lines[-3:])
        self.s.audit_log.write_bytes(b"")

    def run_rotation(self):
        s = self.s
        s.tap.equal(stat.S_IMODE(s.audit_log.stat().st_mode), 0o600, "the file is for its owner alone")
        s.audit_log.unlink()
        self.put("cccc1")
        s.tap.equal([one["type"] for one in records(s.audit_log.read_bytes())], ["request", "response"], "a file that was deleted is made anew")
        old = s.folder / "audit.old"
        s.audit_log.rename(old)
        self.put("cccc2")
        s.tap.equal((len(records(old.read_bytes())), s.audit_log.exists()), (4, False), "one that was renamed is written to")
        s.expect("worker", "configuration not reloaded")
        (s.folder / "worker.conf").write_text("colour = 1\n")
        self.hang_up()
        self.put("cccc3")
        s.tap.equal((len(records(old.read_bytes())), len(records(s.audit_log.read_bytes()))), (4, 2),
                    "until SIGHUP, whatever the configuration is like by then")
        s.configure_worker(edit=lambda text: text.replace("audit.log", "second.log").replace('audit "file" {', 'audit "file" {\n  mode = "0640"'))
        self.hang_up()
        self.put("cccc4")
        second = s.folder / "second.log"
        s.tap.equal((len(records(second.read_bytes())), stat.S_IMODE(second.stat().st_mode)), (2, 0o640), "a reload may name another file, and its mode")
        s.configure_worker(edit=lambda text: text.replace("audit.log", "none/audit.log"))
        self.hang_up()
        self.put("cccc5")
        s.tap.equal((len(records(second.read_bytes())), len(self.said("none/audit.log: No such file or directory"))), (4, 1), "one that cannot be is refused")
        s.configure_worker(edit=lambda text: re.sub(r'audit "file" \{.*?\}', "", text, flags=re.S))
        self.hang_up()
        s.answer("without the block", self.put("cccc6"), 204)
        s.tap.equal(len(records(second.read_bytes())), 4, "nothing is recorded")
        s.configure_worker()
        self.hang_up()

    def run_logrotate(self):
        """The rules that are installed, by the real program, while clients write."""
        s = self.s
        text = (s.folder / "logrotate.conf").read_text()
        for installed, here in (("/var/log/runtime-catalog/*.log", str(s.audit_log)),
                                ("systemctl kill --signal=HUP 'runtime-catalogd.service' 'runtime-catalogd@*.service'", f"kill -HUP {s.worker.pid}")):
            s.tap.equal(text.count(installed), 1, f"logrotate.conf has {installed}")
            text = text.replace(installed, here)
        (s.folder / "logrotate.conf").write_text(text)
        s.audit_log.write_bytes(b"")
        clients = Clients(s)
        for _ in range(3):
            clients.go_on(100)
            before = len(self.said("configuration reloaded"))
            done = subprocess.run(["/usr/sbin/logrotate", "-f", "-s", s.folder / "logrotate.state", s.folder / "logrotate.conf"],
                                  capture_output=True, text=True, check=False)
            s.tap.ok(done.returncode == 0, "logrotate rotates", done)
            wait_for(lambda: len(self.said("configuration reloaded")) > before, 10, "the worker is told")
        clients.go_on(100)
        clients.end()
        self.check(clients, sorted(s.folder.glob("audit.log*")), "rotated under load")

    def check(self, clients, paths, name):
        s = self.s
        data = [subprocess.run(["zcat", "-f", path], capture_output=True, check=True).stdout for path in paths]
        wrong = [fault for one in data for fault in faults(one)]
        s.tap.ok(not wrong, f"{name}: every line is whole", *wrong[:5])
        found = {}
        for record in records(b"".join(data)):
            found.setdefault(record["request"]["id"], []).append(record["type"])
        s.tap.equal({tuple(types) for types in found.values()}, {("request", "response")}, f"{name}: every request has both records, in order")
        s.tap.equal((set(clients.statuses), len(found)), ({204}, len(clients.statuses)), f"{name}: and all are there ({len(clients.statuses)}, {len(paths)} files)")

    def run_sharing(self):
        s = self.s
        s.stop_worker()
        with s.listen_for_workers() as listener:
            s.audit_log.write_bytes(b"")
            workers = [s.start_sharing(listener, f"audit-{number}") for number in range(SHARERS)]
            clients = Clients(s, 16)
            clients.go_on(1000)
            clients.end()
            self.check(clients, [s.audit_log], f"{SHARERS} workers, one file")
            s.tap.equal([stop(worker, signal.SIGTERM) for worker in workers], [0] * SHARERS, "they stop in order")
        (s.folder / "worker.sock").unlink()
        s.configure_worker()
        s.start_worker()

    def run_locked(self):
        """Who may read the log cannot stop the worker; whoever can gets it no longer than one request's patience."""
        s, lock = self.s, self.s.folder / "audit.log.lock"
        with open(s.audit_log, "rb") as reader:
            fcntl.flock(reader, fcntl.LOCK_EX)
            s.answer("while a reader holds the log locked", self.put("eeee1"), 204)
        lock.chmod(0o644)
        self.hang_up()
        s.tap.equal(stat.S_IMODE(lock.stat().st_mode), 0o600, "what is locked instead nobody else may open, ever")
        s.expect("worker", re.escape(REFUSED))
        with open(lock, "rb") as holder, concurrent.futures.ThreadPoolExecutor(WAITERS) as pool:
            fcntl.flock(holder, fcntl.LOCK_SH)
            began = time.monotonic()
            waiters = [pool.submit(self.put, "eeee2") for _ in range(WAITERS)]
            s.tap.equal({one.result().status for one in waiters}, {500}, "while that is locked: refused")
            took = time.monotonic() - began
            s.tap.ok(took < 20, f"{WAITERS} requests do not wait one after the other", f"{took:.1f} s")
            s.tap.equal(s.request("GET", "/v1/sys/health", token=None).status, 200, "and health answers")
            s.tap.ok(self.said(REFUSED + "Resource temporarily unavailable") and not self.exists("eeee2"), "the log says why, and nothing is done")
        s.answer("once it is let go: served", self.put("eeee2"), 204)
        lock.unlink()
        s.answer("one that was deleted", self.put("eeee3"), 204)
        s.tap.ok(lock.exists(), "is made anew")

    def run_salt(self):
        s = self.s
        s.expect("worker", "INTERNAL: SQLSTATE 42501")
        grant = "{} EXECUTE ON FUNCTION runtime_catalog.audit_salt() {} runtime_catalog_worker"
        s.cluster.sql(grant.format("REVOKE", "FROM"))
        s.answer("without a salt there is no record", self.put("dddd1"), 500, errors=["internal error"])
        s.tap.ok(not self.exists("dddd1"), "and nothing is done")
        s.cluster.sql(grant.format("GRANT", "TO"))
        s.answer("it is read when it can be, and a refusal stays one", s.request("PUT", CONTAINER + "dddd2", "{"), 400, like="^failed to parse JSON")
        s.answer("and so it is served", self.put("dddd1"), 204)

    def run_unfit(self):
        s = self.s
        os.mkfifo(s.folder / "pipe")
        (s.folder / "foreign").write_text("")
        (s.folder / "foreign").chmod(0o400)
        for name, path, reason in UNFIT:
            s.configure_worker(edit=lambda text, path=path: text.replace("/audit.log", f"/{path}"))
            before = sorted(s.folder.iterdir())
            done = subprocess.run([s.folder / "bin/runtime-catalogd", "-t", "-c", s.folder / "worker.conf"], capture_output=True, text=True, check=False)
            s.tap.ok(done.returncode == 1 and f"audit file_path: {s.folder}/{path}: {reason}" in done.stderr, f"-t: {name}", done)
        (s.folder / "fourth.log.lock").mkdir()
        s.configure_worker(edit=lambda text: text.replace("/audit.log", "/fourth.log"))
        done = subprocess.run([s.folder / "bin/runtime-catalogd", "-t", "-c", s.folder / "worker.conf"], capture_output=True, text=True, check=False)
        s.tap.ok(done.returncode == 1 and f"audit file_path: {s.folder}/fourth.log.lock: Is a directory" in done.stderr, "-t: its lock is a folder", done)
        before = sorted(s.folder.iterdir())
        s.configure_worker(edit=lambda text: text.replace("/audit.log", "/third.log"))
        done = subprocess.run([s.folder / "bin/runtime-catalogd", "-t", "-c", s.folder / "worker.conf"], capture_output=True, text=True, check=False)
        s.tap.ok(done.returncode == 0 and sorted(s.folder.iterdir()) == before, "-t makes no file", done)
        s.configure_worker()


with stack(plan=56, site="stand-alone", bring=lambda folder: shutil.copy(CHECKOUT / "src/logrotate.conf", folder)) as s:
    test = Test(s)
    test.run_full()
    test.run_killed()
    test.run_rotation()
    test.run_logrotate()
    test.run_locked()
    test.run_sharing()
    test.run_salt()
    test.run_unfit()
