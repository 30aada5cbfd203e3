#!/usr/bin/python3
"""Connection strings: several servers, of which some are away or hang; and what is wrong with one is
said, without its password."""
import contextlib
import os
import socket
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
from driver import Driver, bring_driver  # noqa: E402
from harness import stack  # noqa: E402
from processes import wait_for  # noqa: E402

CONNECT_MS = 2000
PASSWORD = "t0pS3cret"

# What is not fit, and what is said of it.
UNFIT = [
    ("an unknown keyword", "host=/x user=a load_balance_hosts=random", 'libpq 15 knows no keyword "load_balance_hosts"'),
    ("a misspelt one", "host=/x conect_timeout=3", 'knows no keyword "conect_timeout"'),
    ("one behind quotes", r"host='/x y\'z' options = '-c a=b' requireauth = none", 'knows no keyword "requireauth"'),
    ("one in a URI", "postgresql://a@h/d?sslmode=disable&pool_size=3", 'knows no keyword "pool_size"'),
    ("one before a password", f"hots=/x password={PASSWORD}", 'knows no keyword "hots"'),
    ("a password with a blank and more", f"host=/x password=x {PASSWORD}=y user=a", "neither keyword=value pairs nor"),
    ("a URI's password with a question mark", f"postgresql://a:x/?{PASSWORD}=y@h/d", "neither keyword=value pairs nor"),
    ("a URI's password parameter with an ampersand", f"postgresql://h/d?password=x&{PASSWORD}=y", "neither keyword=value pairs nor"),
    ("a URI's password with an at-sign", f"postgresql://a:x@{PASSWORD}@h/d", "in a URI's password write %40"),
    ("a URI's password with a slash", f"postgresql://a:{PASSWORD}/x@h/d", "in a URI's password write %2F"),
    ("no keyword at all", "banana", "neither keyword=value pairs nor"),
    ("an open quote", f"host=/x password='{PASSWORD}", "neither keyword=value pairs nor"),
    ("more ports than hosts", "host=/x,/y port=1,2,3", "3 ports and 2 hosts"),
    ("fewer ports than hosts", "host=/x,/y,/z port=1,2", "2 ports and 3 hosts"),
    ("more addresses than hosts", "host=a,b hostaddr=127.0.0.1,127.0.0.2,127.0.0.3", "2 hosts and 3 hostaddrs"),
    ("an empty host", "host=/x,", "one of several hosts is empty"),
    ("an empty port", "host=/x,/y port=5432,", "one of several ports is empty"),
    ("an unknown wish", "host=/x target_session_attrs=master", "must be any, read-write, read-only, primary, standby or prefer-standby"),
    ("an unknown service", "service=nowhere", 'definition of service "nowhere" not found'),
]


@contextlib.contextmanager
def hanging():
    """A server that lets anybody connect and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def refusing():
    """A port at which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def check_unfit(s):
    for name, url, like in UNFIT:
        with Driver(s.folder, url) as driver:
            said = driver.answer()
        s.tap.ok(said["code"] == "MISCONFIGURED" and like in said["text"] and PASSWORD not in str(said), name, said)
    s.configure_worker(lambda text: text.replace("dbname=", "sslcertmode=disable dbname="))
    done = subprocess.run([s.folder / "bin/runtime-catalogd", "-t", "-c", s.folder / "worker.conf"], capture_output=True, text=True, check=False)
    s.tap.ok(done.returncode == 1 and 'knows no keyword "sslcertmode"' in done.stderr, "runtime-catalogd -t names the keyword", done.stderr)
    s.configure_worker()


def check_order(s):
    """(name, connection string, milliseconds from, below)"""
    here, tail = s.cluster.socket, "dbname=runtime_catalog user=postgres"
    away, late = refusing(), CONNECT_MS * 2 # a busy machine takes its time
    with hanging() as one, hanging() as other:
        cases = [
            ("one that refuses, then the one", f"host=127.0.0.1,{here} port={away},5432", 0, CONNECT_MS / 2),
            ("a socket that is not there, then the one", f"host=/nowhere,{here}", 0, CONNECT_MS / 2),
            ("one that hangs has its half of the time", f"host=127.0.0.1,{here} port={one},5432", CONNECT_MS / 2, late),
            ("two that hang have their thirds", f"host=127.0.0.1,127.0.0.1,{here} port={one},{other},5432", CONNECT_MS * 2 / 3, late),
            ("one that hangs behind the one takes none", f"host={here},127.0.0.1 port=5432,{one}", 0, CONNECT_MS / 2),
            ("hosts and their addresses", f"host=a,b hostaddr=127.0.0.1,127.0.0.1 port={one},{s.port}", CONNECT_MS / 2, late),
            ("a URI", f"postgresql://127.0.0.1:{away},127.0.0.1:{s.port}/runtime_catalog?user=postgres", 0, CONNECT_MS / 2),
            ("one port for all", f"host=127.0.0.1,localhost port={s.port}", 0, CONNECT_MS / 2),
        ]
        for name, url, least, most in cases:
            with Driver(s.folder, url if "://" in url else f"{url} {tail}", connect_ms=CONNECT_MS) as driver:
                said = driver.ask("SELECT 1")
            s.tap.ok(said.get("rows") == ["1"] and least <= said["ms"] < most, name, said, f"{least} to {most} ms")
        os.environ |= {"PGHOST": f"127.0.0.1,{here}", "PGPORT": f"{away},5432"}
        check_elsewhere(s, "the environment names them", tail)
        (s.folder / "service.conf").write_text(f"[catalog]\nhost=127.0.0.1,{here}\nport={one},5432\n")
        os.environ["PGSERVICEFILE"] = str(s.folder / "service.conf")
        check_elsewhere(s, "a service names them", f"service=catalog {tail}")
        for name in ("PGHOST", "PGPORT", "PGSERVICEFILE"):
            del os.environ[name]
        with Driver(s.folder, f"host=127.0.0.1,/nowhere port={one},5432 {tail}", connect_ms=CONNECT_MS) as driver:
            said = driver.ask("SELECT 1")
        s.tap.ok(said["code"] == "STORAGE_AWAY" and f"127.0.0.1:{one}: no connection within the time allowed; " in said["detail"]
                 and "/nowhere" in said["detail"] and said["ms"] < late, "none: each is told, and all within the time of one", said)


def check_elsewhere(s, name, url):
    with Driver(s.folder, url, connect_ms=CONNECT_MS) as driver:
        said = driver.ask("SELECT 1")
    s.tap.ok(said.get("rows") == ["1"], name, said)


def check_memory(s):
    """The one that answered last is asked first."""
    with hanging() as port:
        url = f"host=127.0.0.1,{s.cluster.socket} port={port},5432 dbname=runtime_catalog user=postgres"
        with Driver(s.folder, url, connect_ms=CONNECT_MS) as driver:
            driver.ask("SELECT 1")
            s.cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'driver'")
            wait_for(lambda: s.cluster.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'driver'") == "0", 10, "it is gone")
            said = driver.ask("SELECT 1")
        s.tap.ok(said.get("rows") == ["1"] and said["ms"] < CONNECT_MS / 2, "the one that answered last is asked first", said)


with stack(plan=len(UNFIT) + 1 + 8 + 3 + 1, bring=bring_driver) as s:
    s.expect("postgresql", "terminating connection")
    s.port = refusing()
    s.cluster.sql("ALTER SYSTEM SET listen_addresses = '127.0.0.1'")
    s.cluster.stop()
    with open(s.cluster.data / "postgresql.conf", "a", encoding="ascii") as file:
        file.write(f"port = {s.port}\n")
    (s.cluster.data / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 trust\n")
    os.symlink(f".s.PGSQL.{s.port}", s.cluster.socket / ".s.PGSQL.5432") # the port is in its socket's name, too
    s.cluster.start()
    check_unfit(s)
    check_order(s)
    check_memory(s)
