#!/usr/bin/python3
"""As many clients as the worker has threads, and more, ask for a long list and take their time: nginx
holds the answers for them, and the threads serve others."""
import contextlib
import re
import socket
import sys

sys.path.append(sys.path[0] + "/../lib")
from canary import Canary  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from processes import wait_for  # noqa: E402

THREADS = 8
READERS = 2 * THREADS
# Longer than nginx's buffers and all sockets on the way together.
FILL = """
INSERT INTO runtime_catalog.runtime (namespace_id, type, name, cgroup_parent)
SELECT 1, 'container', 'n' || number, repeat('x', 4000) FROM generate_series(1, 2500) AS number
"""
LEAST = 10_000_000


def ask(s, held):
    """A client that has asked for the list, and read nothing of it."""
    plain = held.enter_context(socket.create_connection(("127.0.0.1", s.client.port), timeout=60))
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    reader = held.enter_context(s.client.context.wrap_socket(plain, server_hostname="localhost"))
    reader.sendall(f"LIST {CATALOG} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Vault-Token: {s.root_token}\r\n\r\n".encode())
    return reader


def rest(reader, begun):
    """(bytes of the body, bytes announced)."""
    data = bytearray(begun)
    while piece := reader.recv(65536):
        data += piece
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    return len(body), int(re.search(rb"Content-Length: (\d+)", head)[1])


def elided(text):
    """The audit log would be long."""
    return text.replace('audit "file" {', 'audit "file" {\n  elide_list_responses = true')


with stack(plan=5, worker={"edit": elided, "listener": f"threads = {THREADS}", "storage": "max_connections = 2"}) as s:
    s.expect("nginx", "temporary file")
    s.cluster.sql(FILL)
    s.tap.ok(len(s.request("LIST", CATALOG).body) > LEAST, "the list is long")
    with contextlib.ExitStack() as held:
        readers = [ask(s, held) for _ in range(READERS)]
        begun = [reader.recv(1) for reader in readers]
        s.tap.equal(begun, READERS * [b"H"], f"{READERS} readers of it, {THREADS} threads: each has the beginning of an answer")
        with Canary(s, CONTAINER + "n1") as canary:
            wait_for(lambda: canary.statuses.get(200, 0) >= 20, 30, "others are served")
        s.tap.equal(set(canary.statuses), {200}, f"meanwhile others are served: {canary}")
        got = [rest(reader, first) for reader, first in zip(readers, begun)]
        s.tap.ok(all(body == announced > LEAST for body, announced in got), "and each reader has the whole in the end", got)
    temporary = [line for line in s.nginx_log.read_text().splitlines() if "temporary file" in line]
    s.tap.ok(temporary, "by way of nginx's temporary files")
