"""What the benchmarks run: one PostgreSQL as it is meant to be (fsync on), workers, responders
that do nothing, and an nginx in front of each, all of them with the very snippets of nginx/."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess

from cluster import DATABASE, copy_template
from fastcgi import answer, received, request
from harness import (BUILD, CHECKOUT, begin, clean_up, copy_what_runs, listen, private_folder,
                     template_folder)
from processes import start, stop, stop_being_root, wait_for

THREADS = 64

# Behind the harness's settings, of which the last counts.
POSTGRESQL = """
fsync = on
full_page_writes = on
shared_buffers = 256MB
max_connections = 300
max_wal_size = 8GB
checkpoint_timeout = 30min
"""
WORKER = """
storage "postgresql" {
  connection_url = "%(dsn)s"
  %(storage)s
}
listener "fastcgi" {
  address = "unix:%(socket)s"
  threads = %(threads)d
}
cache {
  %(cache)s
}
%(more)s
"""

# A policy as somebody might have it: not root, whom nothing is checked for.
POLICY = """
path "sys/plugins/runtimes/catalog" { capabilities = ["read", "list", "sudo"] }
path "sys/plugins/runtimes/catalog/*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
"""


def tree(pid):
    """A process and all below it."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError), open(f"/proc/{one}/task/{one}/children", encoding="ascii") as file:
            found += [int(child) for child in file.read().split()]
    return found


def cpu_of(pid):
    """Seconds of CPU of a process and all below it, of those that have ended too."""
    ticks = 0
    for one in tree(pid):
        with contextlib.suppress(OSError), open(f"/proc/{one}/stat", encoding="utf-8", errors="replace") as file:
            ticks += sum(map(int, file.read().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_mb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024


def ask_directly(path, method, uri, token, body=""):
    """What the worker behind a socket writes, headers and all, without nginx."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
        peer.sendall(request(method, uri, token, body.encode()))
        return answer(received(peer))


class Server:
    """A process with a FastCGI socket. Ends with stop()."""

    def __init__(self, folder, name, command, socket_name=None):
        self.name = name
        self.socket = folder / (socket_name or f"{name}.sock")
        self.log = folder / f"{name}.log"
        self.command = command
        self.process = None
        self.start()

    def start(self):
        self.process = start(self.command, self.log)
        wait_for(self.listens, 20, f"{self.name} listens, see {self.log}")

    def listens(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text()}")
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        if self.process:
            stop(self.process, signal.SIGTERM)
            self.process = None


class Front:
    """An nginx of its own before a socket: the stand-alone site, over TLS and plain, without an
    access log. instead: a location's directives in place of the worker's."""

    def __init__(self, folder, name, behind, instead=None):
        self.folder = folder / f"front-{name}"
        self.folder.mkdir()
        self.listeners = {"tls": listen(), "plain": listen()}
        ports = {kind: listener.getsockname()[1] for kind, listener in self.listeners.items()}
        self.urls = {kind: f"{'https' if kind == 'tls' else 'http'}://127.0.0.1:{port}" for kind, port in ports.items()}
        self.configure(folder, behind, ports, instead)
        self.process = self.start()

    def configure(self, folder, behind, ports, instead):
        shutil.copytree(folder / "certificate", self.folder, dirs_exist_ok=True)
        subprocess.run([folder / "tests/lib/make-nginx", "runtime-catalog", self.folder, str(ports["tls"]), behind],
                       check=True)
        site = self.folder / "site.conf"
        text = site.read_text()
        for old, new in (("access_log", "access_log off; #"),
                         (" ssl http2;", f" ssl http2;\n    listen 127.0.0.1:{ports['plain']};"),
                         ("include snippets/runtime-catalog/worker.conf;", instead)):
            if new:
                if old not in text:
                    raise RuntimeError(f"the site no longer has {old!r}")
                text = text.replace(old, new, 1)
        site.write_text(text)

    def start(self):
        numbers = [listener.fileno() for listener in self.listeners.values()]
        process = start(["nginx", "-p", self.folder, "-c", "nginx.conf", "-e", self.folder / "error.log"],
                        self.folder / "out", pass_fds=numbers,
                        env=dict(os.environ, NGINX="".join(f"{number};" for number in numbers)))
        wait_for(lambda: len(tree(process.pid)) > 1 or process.poll() is not None, 20, "nginx runs")
        if process.poll() is not None:
            raise RuntimeError((self.folder / "out").read_text() + (self.folder / "error.log").read_text())
        for listener in self.listeners.values():
            listener.close()
        return process

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        stop(self.process, signal.SIGQUIT)


class Site:
    """The folder, the database, and whatever was started on them, which stop() ends."""

    def __init__(self, folder, cluster):
        self.folder = folder
        self.cluster = cluster
        self.started = []
        self.token = None

    def worker(self, name, storage="", cache="", more="", database=DATABASE):
        configuration = self.folder / f"{name}.conf"
        dsn = self.cluster.dsn("runtime_catalog_worker").replace(f"dbname={DATABASE}", f"dbname={database}")
        configuration.write_text(WORKER % {"dsn": dsn, "socket": self.folder / f"{name}.sock", "threads": THREADS,
                                           "storage": storage, "cache": cache, "more": more})
        return self.keep(Server(self.folder, name, [self.folder / "bin/runtime-catalogd", "-c", configuration]))

    def responder(self, name, content, program="responder"):
        """One that writes these bytes, whatever it is asked."""
        file = self.folder / f"{name}.bytes"
        file.write_bytes(content)
        return self.keep(Server(self.folder, name, [self.folder / "bin" / program, self.folder / f"{name}.sock", file,
                                                    str(THREADS)]))

    def front(self, name, server=None, instead=None):
        return self.keep(Front(self.folder, name, server.socket if server else self.folder / "nobody.sock", instead))

    def keep(self, one):
        self.started.append(one)
        return one

    def stop(self):
        for one in reversed(self.started):
            one.stop()
        self.started = []

    def postgresql_pid(self):
        return self.cluster.child.pid

    def tool(self, *arguments, **more):
        return subprocess.run([self.folder / "bin/runtime-catalog", *arguments], capture_output=True, text=True, check=True,
                              env=dict(os.environ, RUNTIME_CATALOG_DSN=self.cluster.dsn()), **more).stdout.strip()

    def issue_token(self):
        self.tool("policy", "write", "bench", "-", input=POLICY)
        self.token = self.tool("token", "issue", "-policy=bench", "-field=token")


def bring(folder):
    """What is needed of the checkout, where those who are not root can read it."""
    copy_what_runs(folder)
    for name in ("responder", "workless", "policy_bench"):
        shutil.copy(BUILD / "tests/bench" / name, folder / "bin")
    shutil.copytree(CHECKOUT / "nginx", folder / "nginx")
    for name in ("tests/lib/make-nginx", "tests/bench/load.lua"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, folder / name)
    (folder / "certificate").mkdir()
    subprocess.run([CHECKOUT / "tests/lib/make-certificate", folder / "certificate"], check=True)


@contextlib.contextmanager
def site():
    """A database without a row in it, and a token that may do everything to the catalog."""
    begin()
    with private_folder() as folder:
        template = template_folder(folder)
        bring(folder)
        stop_being_root(folder)
        cluster = copy_template(template, folder, folder / "bin/runtime-catalog", folder / "sql")
        with open(cluster.data / "postgresql.conf", "a", encoding="ascii") as file:
            file.write(POSTGRESQL)
        one = Site(folder, cluster)
        try:
            cluster.start()
            one.issue_token()
            yield one
            one.stop()
            cluster.stop()
        finally:
            clean_up(cluster)
