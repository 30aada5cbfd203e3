#!/usr/bin/python3
"""Ten times more clients than threads, slow readers of large lists and slow senders of bodies among them:
nobody starves and nobody hangs. How long who waits is for ./dev bench fair; here it is counted who was
answered, before any of the slow ones was done, and that these were in the end."""
import concurrent.futures
import http.client
import json
import socket
import sys
import threading

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, CONTAINER, stack  # noqa: E402

THREADS = 4
CLIENTS = 10 * THREADS
SLOW = 3 * THREADS # of each kind: so many threads could not wait for one each
READS = 10         # of each client
RUNTIMES = 1500    # with LONG texts, so that their list is more than nginx has in memory
LONG = 4000
PIECE = 4096       # bytes that a slow one takes or sends, a second
BODY = json.dumps({"cpu_nanos": 7, "note": "x" * 400000}).encode()
# A machine that is busy with other tests makes everybody wait, which is not what is looked for. Records
# of long lists, all their texts hashed, would be most of what there is to do.
WORKER = {"listener": f'threads = {THREADS}\n  request_timeout = "25s"',
          "storage": f'max_connections = {THREADS // 2}\n  pool_timeout = "20s"\n  statement_timeout = "20s"',
          "edit": lambda text: text.replace('audit "file" {', 'audit "file" {\n  elide_list_responses = true')}


def begin_reading(s):
    """Has asked for a list, of which the head is there."""
    connection = s.client.connect(timeout=60)
    connection.connect()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * PIECE)
    connection.request("LIST", CATALOG, headers={"X-Vault-Token": s.root_token})
    return connection, connection.getresponse()


def read_slowly(reader, over):
    """A little now and then, and all the rest in the end. How many runtimes there are said to be."""
    connection, answer = reader
    body = answer.read(PIECE)
    while not over.wait(1):
        body += answer.read(PIECE)
    body += answer.read()
    connection.close()
    return len(json.loads(body)["data"]["runtimes"])


def begin_sending(s, number):
    connection = s.client.connect(timeout=60)
    connection.putrequest("POST", f"{CONTAINER}sent-{number}")
    connection.putheader("X-Vault-Token", s.root_token)
    connection.putheader("Content-Length", str(len(BODY)))
    connection.endheaders()
    return connection


def send_slowly(connection, over):
    """Likewise. The status of the answer."""
    left = BODY
    while not over.wait(1):
        connection.send(left[:PIECE])
        left = left[PIECE:]
    connection.send(left)
    status = connection.getresponse().status
    connection.close()
    return status


def read(s, number):
    """One client: its reads, one after the other; how many were answered."""
    connection = s.client.connect(timeout=60)
    answered = 0
    for _ in range(READS):
        response = s.request("GET", f"{CONTAINER}{number + 1}", connection=connection)
        answered += response.status == 200 and response.data["name"] == str(number + 1)
    connection.close()
    return answered


def write(s, over):
    """One that changes the list all the while: the answers that it had."""
    statuses = []
    while not over.is_set():
        statuses.append(s.request("PUT", f"{CONTAINER}{RUNTIMES}", {"cpu_nanos": len(statuses)}).status)
    return statuses


def result_of(future):
    """What came of a slow one, or what went wrong."""
    try:
        return future.result()
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        return repr(error)


with stack(plan=4, worker=WORKER) as s:
    s.cluster.sql("INSERT INTO runtime_catalog.runtime (namespace_id, type, name, cgroup_parent)"
                  f" SELECT id, 'container', number::text, repeat('c', {LONG}) FROM runtime_catalog.namespace, generate_series(1, {RUNTIMES}) AS number"
                  "  WHERE path = ''")
    over = threading.Event()
    readers, senders = [begin_reading(s) for _ in range(SLOW)], [begin_sending(s, number) for number in range(SLOW)]
    with concurrent.futures.ThreadPoolExecutor(CLIENTS + 2 * SLOW + 1) as clients:
        slow = [[clients.submit(act, one, over) for one in all_of_them] for act, all_of_them in ((read_slowly, readers), (send_slowly, senders))]
        writer = clients.submit(write, s, over)
        answered = list(clients.map(lambda number: read(s, number), range(CLIENTS)))
        ended = [result_of(one) for group in slow for one in group if one.done()]
        over.set()
    s.tap.ok(answered == [READS] * CLIENTS and not ended, f"{CLIENTS} clients of {THREADS} threads had all their answers,"
             f" while {2 * SLOW} slow ones were under way", answered, ended)
    s.tap.equal(set(writer.result()), {204}, f"and so had one that wrote, {len(writer.result())} times")
    s.tap.equal([result_of(one) for one in slow[0]], [RUNTIMES] * SLOW, "each slow reader has the whole of its list in the end")
    s.tap.equal([result_of(one) for one in slow[1]], [204] * SLOW, "each slow sender the answer to all that it sent")
