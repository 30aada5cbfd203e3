#!/usr/bin/python3
"""Secrets that are planted wherever a client, an operator or the system may put one. That none of
them comes up again, in a file or in the memory of the idle worker, is what the harness asserts at the end
of every test; here are the places that the others do not reach, and what it rests on."""
import base64
import json
import os
import secrets
import signal
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from leaks import TAIL  # noqa: E402
from processes import command_of, start, stop, wait_for  # noqa: E402
from root import ONLY_ROOT  # noqa: E402

TOKEN = "/v1/auth/token/"
PLUGIN = "/v1/sys/plugins/catalog/secret/p"
JSON, FORM = "application/json", "application/x-www-form-urlencoded"

# Where a client may put a token T, by mistake or not: method, path, headers, body. In a URL nginx
# keeps it out of its log only behind the question mark, or in the form that our tokens have.
PLACES = [
    ("GET", CONTAINER + "r", {"X-Vault-Token": "T"}, None),
    ("GET", CONTAINER + "r", {"Authorization": "Bearer T"}, None),
    ("GET", CONTAINER + "r", {"Authorization": "bearer T"}, None),
    ("GET", CONTAINER + "r", {"Authorization": "Basic T"}, None),
    ("GET", CONTAINER + "r", {"Authorization": "Basic " + "BASE64"}, None),
    ("GET", CONTAINER + "r", {"X-Vault-Token": "T,T"}, None),
    ("GET", CONTAINER + "r", {"X-Vault-Token": "T" + "x" * 8200}, None),
    ("GET", CONTAINER + "r", {"X-Vault-Token": "T\x01"}, None),
    ("GET", CONTAINER + "r", {"Cookie": "token=T"}, None),
    ("GET", CONTAINER + "r", {"User-Agent": "T"}, None),
    ("GET", CONTAINER + "r", {"X-Correlation-Id": "for T"}, None),
    ("GET", CONTAINER + "r", {"X-Vault-Namespace": "T"}, None),
    ("GET", CONTAINER + "r", {"X-Vault-Wrap-TTL": "T"}, None),
    ("GET", TOKEN + "lookup?token=T", {}, None),
    ("GET", CATALOG + "?T", {}, None),
    ("GET", CATALOG + "?type=T", {}, None),
    ("GET", TOKEN + "lookup/T", {}, None),
    ("GET", TOKEN + "lookup/hvs%2ET", {}, None),
    ("GET", CONTAINER + "T", {}, None),
    ("POST", TOKEN + "lookup", {}, {"token": "T"}),
    ("POST", TOKEN + "lookup", {"Content-Type": FORM}, "token=T"),
    ("POST", TOKEN + "lookup", {}, {"T": "token"}),
    ("POST", TOKEN + "lookup", {}, '{"token":"T"'),
    ("POST", TOKEN + "lookup", {}, '{"token":"T","token":"T"}'),
    ("POST", TOKEN + "lookup", {}, {"token": ["T"]}),
    ("POST", TOKEN + "lookup", {}, {"token": "T" + " " * 20000}),
    ("POST", TOKEN + "lookup", {}, "T" * 20000),
    ("POST", TOKEN + "lookup-accessor", {}, {"accessor": "T"}),
    ("POST", TOKEN + "renew", {}, {"token": "T"}),
    ("POST", TOKEN + "renew-self", {"X-Vault-Token": "T"}, {}),
    ("POST", TOKEN + "create", {"X-Vault-Token": "T"}, {"type": "T"}),
    ("POST", TOKEN + "create", {}, {"id": "T"}),
    ("POST", "/v1/sys/capabilities", {}, {"token": "T", "paths": ["sys/health"]}),
    ("POST", "/v1/sys/audit-hash/file", {}, {"input": "T"}),
    ("PUT", CONTAINER + "r", {}, {"oci_runtime": 1, "T": "T"}),
    ("POST", "/v1/sys/policies/acl/p", {}, {"policy": 'path "T" {'}),
    ("LIST", "/v1/T/" + CATALOG.removeprefix("/v1/"), {}, None),
    # Long, so that what quotes it is cut, or grows in memory; some of these are cut in the middle of the token.
    *(("GET", TOKEN + "x" * length + "/T", {}, None) for length in (100, 1900, 1970, 1980, 1990, 2000, 3500, *range(3960, 4080, 5))),
    *(("GET", CATALOG + "?type=" + "x" * length + "T", {}, None) for length in (100, 1900, 3900)),
    *(("POST", TOKEN + "lookup", {}, {"x" * length + "T": "token"}) for length in (100, 3000, 30000)),
    *(("PUT", CONTAINER + "r", {}, {"oci_runtime": "x" * length + "T"}) for length in (4070, 4080, 4090)),
    *(("POST", "/v1/sys/policies/acl/p", {}, {"policy": 'path "' + "x" * length + 'T" {'}) for length in (100, 4000)),
    ("POST", TOKEN + "revoke", {}, {"token": "T"}),
]

# How a password comes to libpq: the connection string, and what else there has to be.
WAYS = [("a URI", "postgresql://runtime_catalog_worker:{password}@/{database}?host={socket}", None),
        ("keywords", "host={socket} dbname={database} user=runtime_catalog_worker password={password}", None),
        ("PGPASSWORD", "host={socket} dbname={database} user=runtime_catalog_worker", "PGPASSWORD"),
        ("a file", "host={socket} dbname={database} user=runtime_catalog_worker passfile={folder}/passfile", "passfile")]

# Connection strings that are none, or lead nowhere, with a password in them.
FAULTY = ["host={socket} password={password} colour=blue", "postgresql://u:{password}@@/", "postgresql://u:p/{password}@h:p/",
          "host={socket} dbname={password} password={password}", "password='{password}", "host=/nowhere password={password}"]


class Test:
    def __init__(self, s):
        self.s = s

    def new_token(self):
        return self.s.request("POST", TOKEN + "create", {"ttl": "1h"}).key("auth")["client_token"]

    def run_places(self):
        """Each with a token that is good, and one that is not."""
        s, lost = self.s, []
        self.s.register("r")
        for method, path, headers, body in PLACES:
            for token in (self.new_token(), "hvs." + secrets.token_hex(12)):
                s.client.tokens.add(token)

                def planted(text, token=token):
                    text = text if isinstance(text, str) else json.dumps(text)
                    return text.replace("hvs%2ET", "hvs%2E" + token[4:]).replace("BASE64", base64.b64encode(token.encode()).decode()).replace("T", token)
                path_there = "/v1/" + planted(path.removeprefix("/v1/")).replace(token + "OKEN", "TOKEN")
                values = [(name, planted(value)) for name, value in headers.items()]
                if not any(name in ("X-Vault-Token", "Authorization") for name in headers):
                    values.append(("X-Vault-Token", s.root_token))
                answer = s.client.request(method, path_there, values, None if body is None else planted(body))
                if answer.status not in (200, 204, 400, 403, 404, 405, 413, 431):
                    lost.append((method, path, headers, answer))
        s.tap.ok(not lost, f"{2 * len(PLACES)} tokens where clients put them", *lost)

    def run_plugin(self):
        """The environment of a plugin is data, and stands in the catalog; nowhere else."""
        s, planted = self.s, "planted-" + secrets.token_hex(8)
        answer = s.request("POST", PLUGIN, {"sha256": "0" * 64, "command": "p", "env": [f"PASSWORD={planted}"]})
        read = s.request("GET", PLUGIN)
        logs = "".join(path.read_text() for path in (*s.logs(), s.audit_log))
        s.tap.ok(answer.status == 204 and read.status == 200 and planted not in str(read) + logs, "a plugin's environment: stored, told to nobody", answer, read)

    def run_refused(self):
        """PostgreSQL logs the row that it refuses, so what it would refuse is refused before: by the worker, and by the tool."""
        s, planted = self.s, "planted-" + secrets.token_hex(8)
        data = {"custom_metadata": {"k": planted}}
        long = {"custom_metadata": {"k": planted, "l": "x" * 5000}}
        statuses = [s.request(method, "/v1/sys/namespaces/" + name, body).status
                    for name, method, body in (("a%20b", "PUT", data), (".a", "PUT", data), ("root", "PUT", data), ("a" * 512, "PUT", data), ("ab", "PUT", long))]
        s.tap.equal(statuses, [400] * 5, "namespaces that cannot be")
        codes = [s.tool(*arguments, check=False, input=f"# {planted}\n" + 'path "a" { capabilities = ["read"] }').returncode for arguments in (
            ("token", "issue", "-policy=p", f"-metadata=k={planted}", "-metadata=l=" + "x" * 5000),
            ("token", "issue", *(f"-policy={'p' * 250}{number}" for number in range(20)), f"-metadata=k={planted}"),
            ("namespace", "create", f"-custom-metadata=k={planted}", "a b"), ("namespace", "create", f"-custom-metadata=k={planted}", "sys"),
            ("namespace", "create", f"-custom-metadata=k={planted}", "-custom-metadata=l=" + "x" * 5000, "ab"),
            ("policy", "write", "p\u00e9", "-"), ("policy", "write", "a b", "-"))]
        wrong = [line for line in lines_of(s.cluster.log) if planted in line or "Failing row" in line]
        s.tap.ok(all(codes) and not wrong, "nothing that is refused stands in PostgreSQL's log", codes, *wrong)

    def connect_by(self, url, also, password):
        """A worker that has the password from there."""
        s = self.s
        url = url.format(password=password, socket=s.cluster.socket, database="runtime_catalog", folder=s.folder)
        s.stop_worker()
        s.configure_worker(edit=lambda text: text.replace(s.cluster.dsn("runtime_catalog_worker"), url))
        if also == "passfile":
            (s.folder / "passfile").write_text(f"*:*:*:*:{password}\n")
            (s.folder / "passfile").chmod(0o600)
        elif also:
            os.environ[also] = password
        s.start_worker()
        os.environ.pop("PGPASSWORD", None)

    def run_passwords(self):
        s, password = self.s, "planted-" + secrets.token_hex(8)
        s.expect("postgresql", "password authentication failed", "connection to client lost", "terminating connection due to administrator command", "role .* does not exist", "database .* does not exist")
        s.expect("worker", "storage is not available", "connection_url", "STORAGE_AWAY", "not reloaded")
        s.cluster.sql(f"ALTER ROLE runtime_catalog_worker PASSWORD '{password}'")
        access = s.cluster.data / "pg_hba.conf"
        trusting = access.read_text()
        access.write_text("local all runtime_catalog_worker scram-sha-256\n" + trusting)
        s.cluster.sql("SELECT pg_reload_conf()")
        for name, url, also in WAYS:
            self.connect_by(url, also, password)
            s.answer(f"the password by {name}", s.request("GET", CONTAINER + "r"), 200)
            self.check_process(f"the worker with the password by {name}", s.worker.pid, password)
            self.connect_by(url, also, password + "x")
            s.answer("a wrong one", s.request("GET", CONTAINER + "r"), 503)
        access.write_text(trusting)
        s.cluster.sql("SELECT pg_reload_conf()")
        self.run_faulty(password)
        (s.folder / "passfile").unlink()
        s.stop_worker()
        s.configure_worker()
        s.start_worker()
        # From here on it is needed no more, and looked for everywhere.
        s.secrets += [password, password + "x"]
        s.answer("without one", s.request("GET", CONTAINER + "r"), 200)

    def run_faulty(self, password):
        s, shown = self.s, []
        for url in FAULTY:
            url = url.format(password=password, socket=s.cluster.socket)
            s.configure_worker(edit=lambda text, url=url: text.replace(s.cluster.dsn("runtime_catalog_worker"), url))
            test = subprocess.run([s.folder / "bin/runtime-catalogd", "-t", "-c", s.folder / "worker.conf"], capture_output=True, text=True, check=False)
            tool = subprocess.run([s.folder / "bin/runtime-catalog", "status"], capture_output=True, text=True, check=False,
                                  env=dict(os.environ, RUNTIME_CATALOG_DSN=url, PGCONNECT_TIMEOUT="2"))
            before = len(lines_of(s.worker_log))
            s.worker.send_signal(signal.SIGHUP)
            wait_for(lambda before=before: len(lines_of(s.worker_log)) > before, 20, "the worker says something")
            said = test.stderr + tool.stdout + tool.stderr + "\n".join(lines_of(s.worker_log)[before:])
            # A name of a database is not a password, whatever is written there.
            if password in said.replace(f'database "{password}"', "") or not test.returncode or not tool.returncode:
                shown.append((url, test, tool, said))
        s.tap.ok(not shown, "connection strings that are wrong are not quoted", *shown)

    def check_process(self, name, pid, secret):
        """What a process that has a secret keeps to itself."""
        owner = os.stat(f"/proc/{pid}/environ").st_uid
        core = next(line for line in lines_of(self.s.folder / f"/proc/{pid}/limits") if line.startswith("Max core file size"))
        self.s.tap.ok(core.split()[4:6] == ["0", "0"] and owner == 0, f"{name} leaves no core, and its memory is root's", core, owner)
        if self.s.root:
            text = self.s.root.ask("environment", pid)
            self.s.tap.ok(text.strip("\0") == "" and text and secret not in text, "and its environment shows nothing", text)
        else:
            self.s.tap.skip("and its environment shows nothing", ONLY_ROOT)

    def run_tool(self):
        """It waits for a lock meanwhile."""
        s, password = self.s, "planted-" + secrets.token_hex(8)
        s.secrets.append(password)
        holder = s.cluster.session()
        holder.stdin.write("BEGIN; LOCK TABLE runtime_catalog.token; SELECT 'locked';\n")
        holder.stdin.flush()
        holder.stdout.readline()
        os.environ["RUNTIME_CATALOG_DSN"] = s.cluster.dsn() + f" password={password}"
        tool = start([s.folder / "bin/runtime-catalog", "token", "list"], s.folder / "tool.log")
        del os.environ["RUNTIME_CATALOG_DSN"]
        wait_for(lambda: s.cluster.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1", 20, "the tool waits")
        self.check_process("the tool", tool.pid, password)
        holder.communicate("COMMIT;\n")
        s.tap.equal(stop(tool, signal.SIGCONT), 0, "which then does its work")

    def run_search(self):
        """That the search finds what is there."""
        s, text = self.s, "planted-" + secrets.token_hex(8)
        if s.root:
            child = start(["sleep", "60"], s.folder / "child.log", env=dict(os.environ, PLANTED=text))
            wait_for(lambda: command_of(child.pid) == "sleep 60", 10, "it has begun")
            _, found = s.root.ask("in_memory", [text], child.pid)
            s.tap.equal([line.split(":")[1] for line in found], [text[-TAIL:]], "what is in a process's memory is found")
            stop(child, signal.SIGTERM)
        else:
            s.tap.skip("what is in a process's memory is found", ONLY_ROOT)


with stack(plan=4 + 4 * len(WAYS) + 2 + 3 + 1, site="stand-alone") as s:
    test = Test(s)
    test.run_places()
    test.run_plugin()
    test.run_refused()
    test.run_passwords()
    test.run_tool()
    test.run_search()
