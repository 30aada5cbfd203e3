#!/usr/bin/python3
"""SIGHUP: the worker reads its configuration again while it serves; a bad one is refused."""
import concurrent.futures
import re
import signal
import sys

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from harness import CONTAINER, stack  # noqa: E402
from processes import wait_for  # noqa: E402


def replace(old, new):
    return lambda text: text.replace(old, new)


# What is wrong with a configuration, how it comes to be, and what the log says of it.
BAD = [
    ("a fault in the text", lambda text: text + "colour = 1\n", r"worker.conf:\d+: unknown key \"colour\""),
    ("no text that could be read", lambda text: text + "}", r"worker.conf:\d+:\d+: "),
    ("no configuration at all", None, "No such file"),
    ("a database that is not there", replace("user=", "port=1 user="), "storage is not available"),
    ("a database without our schema", replace("dbname=runtime_catalog", "dbname=postgres"), "schema"),
    ("a connection string that is none", replace("dbname=", "colour="), "connection_url"),
]

with stack(plan=2 * len(BAD) + 13) as s:
    s.expect("worker", "configuration not reloaded")
    s.expect("postgresql", "terminating connection due to administrator command", "the database system is (starting|shutting)")
    s.register("example")
    pid = s.worker.pid
    large = {"cgroup_parent": "x" * 3000}

    def put(_=None):
        return s.request("PUT", CONTAINER + "example", large)

    def said(text):
        return [line for line in lines_of(s.worker_log) if text in line]

    def reload(expected, **configuration):
        """Writes the configuration, sends the signal, and returns the line that answers it."""
        before = len(said(expected))
        s.configure_worker(**configuration)
        s.worker.send_signal(signal.SIGHUP)
        wait_for(lambda: len(said(expected)) > before, 10, expected)
        return said(expected)[-1]

    s.answer("a body that is fine now", put(), 204)
    small = replace('"1MiB"', '"2KiB"')
    reload("configuration reloaded", edit=small)
    s.answer("a smaller limit counts from the reload on", put(), 413, like="too large")
    for name, edit, text in BAD:
        if edit is None:
            (s.folder / "worker.conf").unlink()
            s.worker.send_signal(signal.SIGHUP)
            wait_for(lambda: said(text), 10, text)
            line = said("not reloaded")[-1]
        else:
            line = reload("not reloaded", edit=edit)
        s.tap.ok(re.search(f"the old one stays: .*{text}", line), f"refused: {name}", line)
        s.answer("the old one stays", put(), 413)
    reload("configuration reloaded", edit=replace("user=", "application_name=second user="))
    s.answer("a good one counts again", put(), 204)
    s.tap.equal(s.cluster.sql("SELECT DISTINCT application_name FROM pg_stat_activity"
                              " WHERE usename = 'runtime_catalog_worker'"), "second",
                "with connections of its own; the others are gone")

    # PostgreSQL may be away at that moment, as at the start.
    s.expect("worker", "STORAGE_AWAY")
    s.cluster.stop()
    reload("configuration reloaded", edit=replace("user=", "application_name=second user="))
    s.answer("reloaded while PostgreSQL is away", put(), 503)
    s.cluster.start()
    wait_for(lambda: put().status == 204, 10, "the service is back by itself")

    reload("configuration reloaded", listener="threads = 32")
    s.tap.ok(any("[WARN]" in line for line in said("with a restart only")), "what needs a restart says so")
    reload("configuration reloaded", edit=replace('"debug"', '"info"'))
    before = len(lines_of(s.worker_log))
    put()
    s.tap.equal(lines_of(s.worker_log)[before:], [], "a level of logging counts at once")

    # Under load nobody notices.
    with concurrent.futures.ThreadPoolExecutor(8) as clients:
        asked = [clients.submit(put) for _ in range(400)]
        reloads = 0
        while not all(one.done() for one in asked):
            reload("configuration reloaded", storage=f"pool_timeout = {2 + reloads % 2}")
            reloads += 1
    s.tap.equal({one.result().status for one in asked}, {204}, "reloads under load: every request is served")
    s.tap.ok(reloads >= 5, "several of them", reloads)
    s.tap.ok(int(s.cluster.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'runtime_catalog_worker'")) <= 8 + 1,
             "and no connection is left behind")
    s.tap.equal((s.worker.pid, s.worker.poll()), (pid, None), "the same worker all the time")
    s.tap.equal(s.cluster.sql("SELECT count(*) FROM runtime_catalog.runtime"), "1", "nothing came or went")
    s.tap.equal(s.request("GET", CONTAINER + "example").data["cgroup_parent"], "x" * 3000, "as it was written")
