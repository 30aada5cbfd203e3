"""The whole chain, private to one test file: nginx with TLS, worker, PostgreSQL.

    with stack(plan=3) as s:
        s.answer("a list", s.request("LIST", CATALOG), 200, data={"runtimes": []})
        …

Everything that the chain needs is copied to a private folder first; from then on nothing runs
as root. On leaving, everything is stopped and CLOSING more assertions are made: each log is
quiet, no file and not the idle worker's memory holds a secret, and no process is left.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from client import Client
from cluster import LOG_STATEMENTS, copy_template, lines_of, matches
from leaks import hashes, in_folder
from processes import adopt_orphans, leftovers, listens, start, stop, stop_being_root, wait_for
from records import faults
from root import ONLY_ROOT, Root
from tap import Tap

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RUNTIME_CATALOG_BUILD", CHECKOUT / ".dev/build"))
# How many seconds a test with a long form takes in ./dev soak, 0 elsewhere; tests/soak.list has them.
SOAK = int(os.environ.get("RUNTIME_CATALOG_SOAK_SECONDS", "0"))

CATALOG = "/v1/sys/plugins/runtimes/catalog"
CONTAINER = CATALOG + "/container/"
HSTS = "max-age=31536000; includeSubDomains"

# The texts of 403 answers, which scripts match.
NO_TOKEN = "permission denied"
BAD_TOKEN = "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"
NOT_ALLOWED = "1 error occurred:\n\t* permission denied\n\n"

CLOSING = 7
SITES = {"catalog": "runtime-catalog-only", "stand-alone": "runtime-catalog"}
ALARMS = r"Sanitizer|runtime error:|[Aa]ssertion|stack smashing|buffer overflow detected"
SANE = object()  # "use the root token", where None already says "none"

# For tests in which psql, the tool or another worker changes what the worker reads next.
UNCACHED = {"cache": 'max_staleness = "0s"'}

WORKER_CONFIGURATION = """
storage "postgresql" {
  connection_url  = "%(dsn)s"
  %(storage)s
}
listener "fastcgi" {
  address          = "unix:%(socket)s"
  mode             = "0660"
  max_request_size = "1MiB"
  %(listener)s
}
cache {
  %(cache)s
}
audit "file" {
  file_path = "%(audit)s"
}
log_level = "debug"
seccomp   = "kill"
"""
FOREIGN_CALL = "ended by SIGSYS: it made a system call that src/sandbox_calls.c does not name; the kernel's log has its number"

# How a worker comes to a socket that others share: spawn-fcgi's way and systemd's.
HANDED = {"file descriptor 0": 'exec "$0" "$@" <&%d',
          "LISTEN_FDS": 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@" 3<&%d'}


class Stack:
    def __init__(self, tap, folder, cluster, listener):
        self.tap = tap
        self.folder = folder
        self.cluster = cluster
        self.listener = listener
        self.client = Client(listener.getsockname()[1], folder / "nginx/ca.pem")
        self.program = "runtime-catalogd"  # or a mutant's name, for the next start
        self.worker = None
        self.nginx = None
        self.worker_log = folder / "worker.log"
        self.audit_log = folder / "audit.log"
        self.access_log = folder / "nginx/access.log"
        self.nginx_log = folder / "nginx/error.log"
        self.worker_status = 0
        self.cluster_complaints = []
        self.expected = {"worker": [], "nginx": [], "postgresql": []}
        self.secrets = []
        self.root = None # whom to ask what only root may see
        self.memory = None
        self.locker = None
        self.root_token = None

    # --- what runs

    def configure_worker(self, edit=lambda text: text, storage="", listener="", cache=""):
        """Writes the worker's configuration, with lines more in its blocks."""
        (self.folder / "worker.conf").write_text(edit(WORKER_CONFIGURATION % {
            "dsn": self.cluster.dsn("runtime_catalog_worker"),
            "socket": self.folder / "worker.sock", "audit": self.audit_log,
            "storage": storage, "listener": listener, "cache": cache}))

    def start_worker(self):
        self.worker = start([self.folder / "bin" / self.program, "-c", self.folder / "worker.conf"],
                            self.worker_log)
        wait_for(self.worker_listens, 20, f"the worker listens:\n{self.worker_log.read_text()}")

    def worker_listens(self):
        if self.worker.poll() is not None:
            raise RuntimeError(f"the worker did not start:\n{self.worker_log.read_text()}{self.reason_of(self.worker.returncode)}")
        return listens(self.folder / "worker.sock")

    @staticmethod
    def reason_of(status):
        return FOREIGN_CALL if status == -signal.SIGSYS else f"exit status {status}"

    def connect_to_worker(self):
        """As nginx does."""
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(20)
        peer.connect(str(self.folder / "worker.sock"))
        return peer

    def worker_answers(self):
        """Whether somebody would accept a connection."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.folder / "worker.sock")) == 0

    def stop_worker(self):
        if self.worker:
            status = stop(self.worker, signal.SIGTERM)
            self.worker_status = self.worker_status or status
            self.worker = None

    def listen_for_workers(self):
        """A socket at the worker's path, for workers that inherit it and share it, and see at once what the
        others write."""
        path = self.folder / "worker.sock"
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(socket.SOMAXCONN)
        self.configure_worker(edit=lambda text: re.sub(r"\n *address .*", "", text), **UNCACHED)
        return listener

    def start_sharing(self, listener, name, handed="file descriptor 0"):
        """A worker that takes its requests from the listener; the caller stops it. Its log is
        worker-NAME.log."""
        number = listener.fileno()
        return start(["sh", "-c", HANDED[handed] % number, self.folder / "bin" / self.program,
                      "-c", self.folder / "worker.conf"], self.folder / f"worker-{name}.log", pass_fds=[number])

    def start_nginx(self):
        """nginx inherits the listening socket, so that nobody can take the port meanwhile."""
        folder = self.folder / "nginx"
        number = self.listener.fileno()
        self.nginx = start(["nginx", "-p", folder, "-c", "nginx.conf", "-e", self.nginx_log],
                           self.folder / "nginx.out", pass_fds=[number],
                           env=dict(os.environ, NGINX=f"{number};"))
        wait_for(self.nginx_runs, 20, "nginx runs")
        self.listener.close()

    def nginx_runs(self):
        if self.nginx.poll() is not None:
            raise RuntimeError((self.folder / "nginx.out").read_text() + self.nginx_log.read_text())
        pid = self.folder / "nginx/nginx.pid"
        return pid.exists() and pid.read_text().strip() == str(self.nginx.pid)

    def stop_nginx(self):
        if self.nginx:
            stop(self.nginx, signal.SIGQUIT)
            self.nginx = None

    # --- what a test does

    def tool(self, *arguments, check=True, **more):
        """runtime-catalog, the operator's tool, on this database."""
        done = subprocess.run(
            [self.folder / "bin/runtime-catalog", *arguments], capture_output=True, text=True,
            check=False, env=dict(os.environ, RUNTIME_CATALOG_DSN=self.cluster.dsn()), **more)
        if check and done.returncode:
            raise RuntimeError(f"runtime-catalog {' '.join(arguments)}:\n{done.stderr}")
        return done

    def token(self, *policies, **flags):
        """Issues a token and sees to it that no log ever shows it."""
        token = self.tool("token", "issue", *(f"-policy={name}" for name in policies),
                          *(f"-{name}={value}" for name, value in flags.items()),
                          "-field=token").stdout.strip()
        self.secrets.append(token)
        return token

    def policy(self, name, text, *flags):
        self.tool("policy", "write", *flags, name, "-", input=text)

    def token_with(self, name, path, *capabilities):
        """A token whose one policy has one rule."""
        self.policy(name, f'path "{path}" {{ capabilities = {json.dumps(capabilities)} }}')
        return self.token(name)

    def request(self, method, path, body=None, token=SANE, headers=(), connection=None):
        headers = list(headers)
        if token is SANE:
            token = self.root_token
        if token is not None:
            headers.append(("X-Vault-Token", token))
        return self.client.request(method, path, headers, body, connection)

    def register(self, name, **body):
        """For runtimes that a test needs; not an assertion."""
        response = self.request("POST", CONTAINER + name, body)
        if response.status != 204:
            raise RuntimeError(f"cannot register {name}:\n{response}")

    def plugin(self, name, runtime, version="", kind="secret"):
        """A plugin row that references a runtime, as a DBA would insert it."""
        self.cluster.sql(
            "INSERT INTO runtime_catalog.plugin"
            " (namespace_id, type, name, version, command, sha256, runtime_type, runtime_name)"
            f" SELECT id, '{kind}', '{name}', '{version}', '{name}', decode(repeat('00', 32), 'hex'),"
            f"        'container', '{runtime}' FROM runtime_catalog.namespace WHERE path = ''")

    @contextlib.contextmanager
    def locked(self, name):
        """While this lasts, or until unlock(), whoever would write the runtime waits for us."""
        self.locker = self.cluster.session()
        self.locker.stdin.write(f"BEGIN; SELECT name FROM runtime_catalog.runtime WHERE name = '{name}' FOR UPDATE;\n")
        self.locker.stdin.flush()
        if self.locker.stdout.readline().strip() != name:
            raise RuntimeError(f"cannot lock {name}")
        try:
            yield
        finally:
            self.unlock()

    def unlock(self):
        if self.locker:
            self.locker.communicate("COMMIT;\n")
            self.locker = None

    def lock_waits(self):
        """How many of the worker's statements wait for a lock."""
        return int(self.cluster.sql("SELECT count(*) FROM pg_stat_activity"
                                    " WHERE usename = 'runtime_catalog_worker' AND wait_event_type = 'Lock'"))

    def log_statements(self):
        """PostgreSQL logs each of the worker's statements from its next connection on."""
        for setting in LOG_STATEMENTS:
            self.cluster.sql(f"ALTER ROLE runtime_catalog_worker SET {setting}")

    def connections(self):
        """Connections to the worker's socket as the kernel has them: (accepted, waiting to be)."""
        with open("/proc/net/unix", encoding="ascii") as file:
            rows = [line.split() for line in file if line.endswith(f"{self.folder}/worker.sock\n")]
        states = [row[5] for row in rows if row[3] != "00010000"] # all but the one that listens
        return states.count("03"), states.count("02")

    def curl(self, *arguments, **more):
        return subprocess.run(["curl", "-sS", "--cacert", self.folder / "nginx/ca.pem", *arguments],
                              capture_output=True, text=True, check=False, timeout=60, **more)

    # --- what a test asserts

    def answer(self, name, response, status, *, data=SANE, errors=SANE, like=None):
        """One assertion on a whole answer: its status, the headers that every answer carries,
        and its data, its errors, or a pattern that its one error text matches."""
        wrong = list(self.faults_of(response, status))
        if data is not SANE and response.data != data:
            wrong.append(f"data is not {data!r}")
        if errors is not SANE and response.json != {"errors": errors}:
            wrong.append(f"the body is not {{'errors': {errors!r}}}")
        if like is not None:
            wrong += self.faults_of_text(response, like)
        return self.tap.ok(not wrong, name, *wrong, response)

    @staticmethod
    def faults_of(response, status):
        if response.status != status:
            yield f"the status is not {status}"
        for header, value in (("Content-Type", "application/json"), ("Cache-Control", "no-store"),
                              ("Strict-Transport-Security", HSTS)):
            if response.header(header) != value:
                yield f"{header} is {response.values(header)}"
        if status == 204 and response.body:
            yield "a 204 with a body"
        if status != 204 and not (response.body.endswith(b"}\n") and response.body.count(b"\n") == 1):
            yield "the body is not one line of JSON"

    @staticmethod
    def faults_of_text(response, pattern):
        if not (len(response.errors or []) == 1 and re.search(pattern, response.errors[0])):
            yield f"no error text like {pattern!r}"

    def worker_logs(self):
        return [self.worker_log, *sorted(self.folder.glob("worker-*.log"))]

    def logs(self):
        return [*self.worker_logs(), self.access_log, self.nginx_log, self.cluster.log]

    def expect(self, log, *patterns):
        """Announces lines that would otherwise count as complaints; log is worker, nginx or
        postgresql."""
        self.expected[log].extend(patterns)

    def complaints(self):
        worker = [line for log in self.worker_logs() for line in lines_of(log)
                  if re.search(ALARMS, line) or "[ERROR]" in line and not matches(line, self.expected["worker"])]
        nginx = [line for line in lines_of(self.nginx_log)
                 if re.search(r"\[(alert|emerg)\]", line)
                 or re.search(r"\[(crit|error)\]", line) and not matches(line, self.expected["nginx"])]
        return worker, nginx

    def leaks(self):
        """Of what was to stay secret, what stands in any file: logs, those of PostgreSQL's data, what
        nginx keeps for a while."""
        secrets = {*self.secrets, *self.client.tokens}
        return in_folder(secrets | hashes(secrets), self.folder)

    @property
    def no_memory(self):
        """Why it is not searched."""
        if "TSAN_OPTIONS" in os.environ:
            return "ThreadSanitizer's own memory has what threads wrote"
        return None if self.root else ONLY_ROOT

    def search_memory(self):
        """Of a worker that has nothing to do. Its connections end with nginx."""
        if not self.no_memory and self.worker and self.worker.poll() is None:
            with contextlib.suppress(TimeoutError):
                wait_for(lambda: self.connections() == (0, 0), 5, "nobody is connected")
            self.memory = self.root.ask("in_memory", [*self.secrets, *self.client.tokens], self.worker.pid)

    def stop(self):
        self.stop_nginx()
        self.search_memory()
        self.stop_worker()
        # What it says about being stopped is no complaint.
        self.cluster_complaints = self.cluster.complaints(self.expected["postgresql"])
        self.cluster.stop()

    def close(self):
        worker, nginx = self.complaints()
        self.tap.ok(not worker and self.worker_status == 0, "the worker has nothing to complain of",
                    self.reason_of(self.worker_status), *worker, *self.tail_of_alarm())
        self.tap.ok(not nginx, "nginx has nothing to complain of", *nginx)
        self.tap.ok(not self.cluster_complaints, "PostgreSQL has nothing to complain of", *self.cluster_complaints)
        leaks = self.leaks()
        self.tap.ok(not leaks, "no file shows a secret or the hash of a token", *leaks[:20])
        if not self.no_memory:
            looked, found = self.memory or (0, [])
            self.tap.ok(not found, f"nor the memory of the idle worker ({looked >> 20} MiB)", *found[:20])
        else:
            self.tap.skip("nor the memory of the idle worker", self.no_memory)
        wrong = faults(self.audit_log.read_bytes()) if self.audit_log.exists() else []
        self.tap.ok(not wrong, "each line of the audit log is one record", *wrong[:20])
        left = leftovers()
        self.tap.ok(not left, "no process is left", *left)

    def tail_of_alarm(self):
        return [line for log in self.worker_logs() if re.search(ALARMS, log.read_text()) for line in lines_of(log)[-60:]]


def copy_what_runs(folder):
    """The parts of the checkout that the chain needs, where anybody can read them."""
    (folder / "bin").mkdir()
    for program in ("runtime-catalogd", "runtime-catalog"):
        if not (BUILD / program).exists():
            sys.exit(f"{BUILD / program} is not built: run ./dev check, or ./dev up and this test alone")
        shutil.copy(BUILD / program, folder / "bin")
    shutil.copytree(CHECKOUT / "sql", folder / "sql")


def build_mutant(name, folder):
    """For stack(bring=…): builds the worker with the fault of tests/mutants/NAME.patch into bin/.
    The worker's program, for Stack.program."""
    done = subprocess.run([CHECKOUT / "tests/lib/build-mutant", name, folder / "bin"], check=False, text=True,
                          capture_output=True, env=dict(os.environ, RUNTIME_CATALOG_BUILD=str(BUILD)))
    if done.returncode:
        raise RuntimeError(done.stderr)
    return pathlib.Path(done.stdout.strip()).name


def configure_nginx(folder, port, site, edit_site):
    (folder / "nginx").mkdir()
    library = CHECKOUT / "tests/lib"
    subprocess.run([library / "make-certificate", folder / "nginx"], check=True)
    subprocess.run([library / "make-nginx", SITES[site], folder / "nginx", str(port), folder / "worker.sock"],
                   check=True)
    if edit_site:
        file = folder / "nginx/site.conf"
        file.write_text(edit_site(file.read_text(), folder))


def template_folder(folder):
    """Shared by the tests of one `./dev check`, else this test's own."""
    shared = os.environ.get("RUNTIME_CATALOG_TEST_FOLDER")
    template = pathlib.Path(shared or folder) / "template"
    template.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        shutil.chown(template, "nobody", "nogroup")
    return template


def listen():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(511)
    listener.setblocking(False) # nginx takes it as it is, and its workers compete for a connection
    return listener


@contextlib.contextmanager
def private_folder():
    """Its path is short, because a socket's must be."""
    parent = os.environ.get("RUNTIME_CATALOG_TEST_FOLDER", "/var/tmp")
    folder = pathlib.Path(tempfile.mkdtemp(prefix=pathlib.Path(sys.argv[0]).stem + ".", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def begin():
    """A test that is told to end takes what it started with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    adopt_orphans()


def clean_up(cluster):
    """Whatever went wrong: PostgreSQL is asked, so that it gives its shared memory back, the rest
    is not."""
    with contextlib.suppress(TimeoutError):
        cluster.stop()
    leftovers()


@contextlib.contextmanager
def database(bring=None):
    """A migrated cluster that runs and nothing else, but what bring(folder) puts beside it of the
    checkout."""
    begin()
    with private_folder() as folder:
        template = template_folder(folder)
        copy_what_runs(folder)
        if bring:
            bring(folder)
        stop_being_root(folder)
        cluster = copy_template(template, folder, folder / "bin/runtime-catalog", folder / "sql")
        try:
            cluster.start()
            yield cluster
        finally:
            clean_up(cluster)


@contextlib.contextmanager
def stack(plan, site="catalog", edit_site=None, worker=None, bring=None):
    """The whole chain, with a root token issued. The plan counts the test's own assertions.
    site: "catalog", its paths alone, or "stand-alone", the whole API. edit_site(text, folder)
    changes nginx's site, for tests of what a site chooses; worker has
    the arguments of configure_worker(); bring(folder) puts there what else the test needs of the
    checkout."""
    begin()
    tap = Tap(plan + CLOSING)
    listener = listen()
    with private_folder() as folder:
        template = template_folder(folder)
        copy_what_runs(folder)
        configure_nginx(folder, listener.getsockname()[1], site, edit_site)
        if bring:
            bring(folder)
        root = Root() if os.geteuid() == 0 else None
        stop_being_root(folder)
        s = Stack(tap, folder, copy_template(template, folder, folder / "bin/runtime-catalog",
                                             folder / "sql"), listener)
        s.root = root
        try:
            s.cluster.start()
            s.configure_worker(**worker or {})
            s.start_worker()
            s.start_nginx()
            s.root_token = s.token("root")
            yield s
            s.stop()
            s.close()
        finally:
            clean_up(s.cluster)
    sys.exit(tap.exit_status())
