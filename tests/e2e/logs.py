#!/usr/bin/python3
"""Logs that join up: the id of one request stands in nginx's log, in the answer, in the worker's log,
in the audit log and in history; and the journal learns how urgent a line is."""
import concurrent.futures
import json
import os
import re
import signal
import sys

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from processes import wait_for  # noqa: E402
from records import records  # noqa: E402

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
CREATE = "/v1/auth/token/create"
CLIENTS, TURNS = 8, 25

# What is asked, the status, and in how many rows of history it leaves its id.
ASKED = [("a write with an answer", "POST", CREATE, {"policies": ["default"]}, 200, 1),
         ("a write without", "POST", CONTAINER + "r1", {"cpu_nanos": 1}, 204, 1),
         ("two rows of one write", "POST", "/v1/auth/token/revoke-accessor", "family", 204, 2),
         ("a read", "GET", CONTAINER + "r1", None, 200, 0),
         ("what there is not", "GET", CONTAINER + "r2", None, 404, 0),
         ("a refusal", "DELETE", CONTAINER + "-", None, 404, 0),
         ("a body that is none", "POST", CONTAINER + "r1", "{", 400, 0)]

# What makes a worker say something, at each level, and the priority that syslog has for it.
LEVELS = [("DEBUG", 7), ("INFO", 6), ("WARN", 4), ("ERROR", 3)]


class Test:
    def __init__(self, s):
        self.s = s

    def last_id(self):
        """nginx writes its line when the answer has left."""
        return re.search(f"request_id=({UUID})$", lines_of(self.s.access_log)[-1])[1]

    def places(self, request_id):
        """How often it stands in nginx's log, the worker's, the audit log and history."""
        return (sum(line.endswith(f"request_id={request_id}") for line in lines_of(self.s.access_log)),
                sum(request_id in line for line in lines_of(self.s.worker_log)),
                sum(record["request"]["id"] == request_id for record in records(self.s.audit_log.read_bytes())),
                int(self.s.cluster.sql(f"SELECT count(*) FROM runtime_catalog.change WHERE request_id = '{request_id}'")))

    def family(self):
        """A token and its child; the accessor of the former."""
        parent = self.s.request("POST", CREATE, {}).key("auth")
        self.s.request("POST", CREATE, {}, token=parent["client_token"])
        return {"accessor": parent["accessor"]}

    def run_one(self, form):
        for name, method, path, body, status, rows in ASKED:
            body = self.family() if body == "family" else body
            before = len(lines_of(self.s.access_log))
            response = self.s.request(method, path, body, headers=[("X-Request-Id", "mine"), ("Request-Id", "0" * 32)])
            wait_for(lambda before=before: len(lines_of(self.s.access_log)) > before, 10, "nginx has written its line")
            request_id = self.last_id()
            answered = response.key("request_id") if response.json and status == 200 else request_id
            self.s.tap.ok((response.status, answered, self.places(request_id)) == (status, request_id, (1, 1, 2, rows)),
                          f"{form}: {name}: one id in all places", response, request_id, self.places(request_id))

    def run_many(self):
        def write(client):
            connection = self.s.client.connect()
            for turn in range(TURNS):
                self.s.request("PUT", CONTAINER + f"client{client}", {"cpu_nanos": turn}, connection=connection)
            connection.close()

        before = len(lines_of(self.s.access_log))
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(write, range(CLIENTS)))
        count = CLIENTS * TURNS
        wait_for(lambda: len(lines_of(self.s.access_log)) >= before + count, 10, "nginx has written its lines")
        ids = sorted(re.search(f"request_id=({UUID})$", line)[1] for line in lines_of(self.s.access_log)[before:])
        logged = sorted(request_id for line in lines_of(self.s.worker_log) for request_id in re.findall(UUID, line) if request_id in set(ids))
        recorded = sorted(record["request"]["id"] for record in records(self.s.audit_log.read_bytes()) if record["request"]["id"] in set(ids))
        stored = self.s.cluster.sql("SELECT request_id FROM runtime_catalog.change WHERE key->>'name' LIKE 'client%'").split()
        self.s.tap.equal((len(set(ids)), logged == ids, recorded == sorted(ids * 2), sorted(stored) == ids), (count, True, True, True),
                         f"{count} writes of {CLIENTS} clients at once: each has its own in every place")

    def reload(self, expected, edit):
        def said():
            return sum(expected in line for line in lines_of(self.s.worker_log))
        before = said()
        self.s.configure_worker(edit=edit)
        self.s.worker.send_signal(signal.SIGHUP)
        wait_for(lambda: said() > before, 10, expected)

    def say_all(self, json_format):
        def edit(more=""):
            return lambda text: text + more + ('log_format = "json"\n' if json_format else "")
        self.reload("configuration reloaded", edit())
        before = len(lines_of(self.s.worker_log))
        self.s.request("GET", CATALOG)
        self.reload("with a restart only", lambda text: edit()(text).replace('seccomp   = "kill"', 'seccomp = "enforce"'))
        self.reload("not reloaded", edit("colour = 1\n"))
        self.reload("configuration reloaded", edit())
        return lines_of(self.s.worker_log)[before:]

    def run_long_path(self):
        """However long a path is, its line says what came of it, and shows no part of a token at the cut."""
        s = self.s
        token = s.token("default")
        for before, behind in [(pad, 3000) for pad in range(300, 345, 2)] + [(3000, pad) for pad in range(135, 165, 2)]:
            s.request("GET", "/v1/nowhere/" + "a" * before + token + "/" + "b" * behind + "end")
        lines = [line for line in lines_of(s.worker_log) if " read nowhere/aaa" in line]
        wrong = [line for line in lines if not re.search(r"b+end: 404 NOT_FOUND request_id=", line) or token[4:10] in line or token[-6:] in line]
        s.tap.ok(len(lines) == 38 and not wrong, "a long path is cut in the middle, and masked before", len(lines), *wrong[:3])

    def run_journal(self):
        s = self.s
        for json_format in (False, True):
            for name, mine in (("the journal's stream", True), ("another stream", False)):
                s.stop_worker()
                status = s.worker_log.stat()
                os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino + (not mine)}"
                s.start_worker()
                lines = self.say_all(json_format)
                levels = {level: priority if mine else None for level, priority in LEVELS}
                self.s.tap.equal(dict(level_of(line, json_format) for line in lines), levels,
                                 f"{name}, {'JSON' if json_format else 'standard'}: " + ("priorities" if mine else "none"))
        del os.environ["JOURNAL_STREAM"]


def level_of(line, json_format):
    """The level that a line names, and the priority in front of it."""
    priority, rest = re.fullmatch(r"(?:<(\d)>)?(.*)", line).groups()
    level = json.loads(rest)["@level"].upper() if json_format else re.search(r"^\S+Z \[(\w+)\]", rest)[1]
    return level, priority and int(priority)


with stack(plan=2 * len(ASKED) + 2 + 4, site="stand-alone") as s:
    s.expect("worker", "configuration not reloaded")
    test = Test(s)
    test.run_one("standard")
    test.run_long_path()
    test.reload("configuration reloaded", lambda text: text + 'log_format = "json"\n')
    test.run_one("JSON")
    test.run_many()
    test.run_journal()
