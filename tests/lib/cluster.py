"""A private PostgreSQL: on a socket only, without fsync, migrated, gone with its test.

Making a cluster takes seconds, copying one an instant. The first test of a `./dev check` makes
the template, the others copy it; a test that runs alone makes its own.
"""
import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import signal
import subprocess

from processes import start, stop, wait_for

BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
DATABASE = "runtime_catalog"
SETTINGS = """
listen_addresses = ''
fsync = off
full_page_writes = off
shared_buffers = 32MB
log_line_prefix = '%m [%p] %u '
"""
LOG_STATEMENTS = ("log_parameter_max_length = 0", "log_statement = 'all'") # parameters are hashes of tokens


class Cluster:
    def __init__(self, folder):
        self.data = folder / "data"
        self.socket = folder
        self.log = folder / "postgresql.log"
        self.child = None

    def dsn(self, role="postgres"):
        return f"host={self.socket} dbname={DATABASE} user={role}"

    def start(self):
        self.child = start([BIN / "postgres", "-D", self.data, "-k", self.socket], self.log)
        wait_for(self.ready, 60, f"PostgreSQL is ready, see {self.log}")

    def ready(self):
        if self.child.poll() is not None:
            raise RuntimeError(f"PostgreSQL did not start:\n{self.log.read_text()}")
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return lines[:1] == [str(self.child.pid)] and lines[-1].strip() in ("ready", "standby")

    def suspend(self):
        """A server that is there and says nothing. Returns what wakes it."""
        stopped = [self.child.pid]
        os.kill(self.child.pid, signal.SIGSTOP) # first, or it makes more
        with open(f"/proc/{self.child.pid}/task/{self.child.pid}/children", encoding="ascii") as file:
            stopped += [int(pid) for pid in file.read().split()]
        for pid in stopped[1:]:
            os.kill(pid, signal.SIGSTOP)

        def resume():
            while stopped:
                os.kill(stopped.pop(), signal.SIGCONT)
        return resume

    def kill(self):
        """As when the machine is lost: all its processes at once, nothing is flushed or said."""
        pid = self.child.pid
        os.kill(pid, signal.SIGSTOP) # first, or it makes more
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            pids = [int(child) for child in file.read().split()]
        for victim in (pid, *pids):
            os.kill(victim, signal.SIGKILL)
        self.child.wait()
        self.child = None
        for orphan in pids: # ours now
            with contextlib.suppress(ChildProcessError):
                os.waitpid(orphan, 0)

    def standby(self, folder, name):
        """Another one that streams from this. What it was before is gone."""
        standby = Cluster(folder)
        folder.mkdir(mode=0o700, exist_ok=True)
        shutil.rmtree(standby.data, ignore_errors=True)
        subprocess.run([BIN / "pg_basebackup", "-D", standby.data, "-d", f"host={self.socket} user=postgres",
                        "-R", "-X", "stream", "-c", "fast", "--no-sync"], check=True, capture_output=True)
        with open(standby.data / "postgresql.conf", "a", encoding="ascii") as file:
            file.write(f"cluster_name = '{name}'\n")
        standby.start()
        return standby

    def wait_for_standby(self, name):
        """From now on nothing is committed that the standby does not have."""
        self.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
        self.sql("SELECT pg_reload_conf()")
        wait_for(lambda: self.sql("SELECT sync_state FROM pg_stat_replication") == "sync", 30, "the standby is synchronous")

    def wait_for_none(self):
        self.sql("ALTER SYSTEM RESET synchronous_standby_names")
        self.sql("SELECT pg_reload_conf()")

    def promote(self):
        self.sql("SELECT pg_promote(true, 60)")

    def stop(self):
        """Fast: open connections are cut."""
        if self.child:
            stop(self.child, signal.SIGINT)
            self.child = None

    def session(self, role="postgres"):
        """A psql that reads statements from its stdin and stays in one session."""
        return subprocess.Popen([BIN / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", self.dsn(role)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def psql(self, *arguments, role="postgres", database=DATABASE, check=True):
        return subprocess.run(
            [BIN / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1",
             "-d", f"host={self.socket} dbname={database} user={role}", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=check)

    def sql(self, statement, role="postgres"):
        """What a statement yields: a line a row, columns joined by |."""
        done = self.psql("-c", statement, role=role, check=False)
        if done.returncode:
            raise RuntimeError(f"{statement}\n{done.stderr}")
        return done.stdout.rstrip("\n")

    def complaints(self, expected):
        return [line for line in lines_of(self.log)
                if re.search(r"\b(PANIC|FATAL):", line) and not matches(line, expected)]


def schema_of(dsn):
    """The catalog's schema as pg_dump writes it, line by line."""
    text = subprocess.run([BIN / "pg_dump", "-s", "-n", "runtime_catalog", "-d", dsn], check=True, text=True, capture_output=True).stdout
    return [line for line in text.splitlines() if not line.startswith("\\")] # \restrict and its random key


def lines_of(path):
    return path.read_text(errors="replace").splitlines() if path.exists() else []


def matches(line, patterns):
    return any(re.search(pattern, line) for pattern in patterns)


def make_cluster(folder):
    """One that nobody has touched, and that does not run yet."""
    cluster = Cluster(folder)
    subprocess.run([BIN / "initdb", "-D", cluster.data, "-U", "postgres", "--auth=trust",
                    "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"],
                   check=True, capture_output=True)
    with open(cluster.data / "postgresql.conf", "a", encoding="ascii") as file:
        file.write(SETTINGS)
    return cluster


def make_template(folder, tool, sql):
    cluster = make_cluster(folder)
    cluster.start()
    try:
        cluster.psql("-c", f"CREATE DATABASE {DATABASE}", database="postgres")
        cluster.psql("-f", sql / "roles.sql")
        subprocess.run([tool, "migrate", f"-migrations={sql / 'migrations'}"], check=True,
                       env=dict(os.environ, RUNTIME_CATALOG_DSN=cluster.dsn()),
                       capture_output=True, text=True)
    finally:
        cluster.stop()


def copy_template(template, folder, tool, sql):
    """A cluster in `folder`, from the template, which the first comer makes."""
    with open(template / "lock", "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (template / "finished").exists():
            shutil.rmtree(template / "data", ignore_errors=True)
            try:
                make_template(template, tool, sql)
            except subprocess.CalledProcessError as error:
                raise RuntimeError(f"{error}\n{error.stdout}{error.stderr}") from None
            (template / "finished").touch()
    subprocess.run(["cp", "-a", template / "data", folder], check=True)
    return Cluster(folder)
