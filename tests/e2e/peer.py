#!/usr/bin/python3
"""The FastCGI socket itself: a peer that stops in the middle of something holds nobody up, and
what it sends whole is served."""
import struct
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from processes import wait_for  # noqa: E402

BEGIN, PARAMS, STDIN = 1, 4, 5 # types of FastCGI's records
THREADS = 64


def record(kind, content=b""):
    return struct.pack("!BBHHBx", 1, kind, 1, len(content), 0) + content


def begin(keep):
    return record(BEGIN, struct.pack("!HB5x", 1, keep))


def parameters(**pairs):
    content = b"".join(struct.pack("!BI", len(name), len(value) | 1 << 31) + name.encode() + value.encode()
                       for name, value in pairs.items())
    return record(PARAMS, content) + record(PARAMS)


with stack(plan=13, worker={"storage": 'connect_timeout = "200ms"', "listener": 'request_timeout = "500ms"'}) as s:
    def send(data):
        """What comes back until the worker hangs up."""
        with s.connect_to_worker() as peer:
            peer.sendall(data)
            answer = b""
            while piece := peer.recv(65536):
                answer += piece
            return answer

    def request(method, path, length=0):
        return parameters(REQUEST_METHOD=method, REQUEST_URI=path, DOCUMENT_URI=path, CONTENT_LENGTH=str(length),
                          REMOTE_ADDR="127.0.0.1", RUNTIME_CATALOG_NAMESPACE="", HTTP_X_VAULT_TOKEN=s.root_token)

    read = begin(0) + request("GET", CATALOG) + record(STDIN)
    write = begin(0) + request("PUT", CONTAINER + "example", 2) + record(STDIN, b"{}") + record(STDIN)
    s.tap.ok(b'"runtimes":[]' in send(read), "a whole read is served")
    s.tap.ok(b"Status: 204 No Content" in send(write), "and a whole write")
    s.tap.ok(b'"runtimes":[{' in send(begin(1) + read[16:]), "a connection that is kept is closed when it is idle for long")

    # Each stops there, and is let go.
    for name, data in [("nothing at all", b""), ("half a record's header", read[:3]), ("no parameters", begin(0)),
                       ("half of the parameters", read[:60]), ("no end of the parameters", read[:-16])]:
        s.tap.equal(send(data), b"", f"a peer that sends {name}")
    for name, data in [("no body", write[:-18]), ("half of a body", write[:-17])]:
        s.tap.ok(b"the body ended early" in send(data), f"a peer that sends {name}")

    # As many as there are threads, and more.
    peers = [s.connect_to_worker() for _ in range(2 * THREADS)]
    for peer in peers:
        peer.sendall(read[:60])
    s.answer("while all threads wait for such peers a client waits for its turn", s.request("GET", CATALOG), 200)
    for peer in peers:
        peer.close()
    wait_for(lambda: s.connections() == (0, 0) or s.request("GET", CATALOG) and s.connections()[1] == 0, 10, "they are gone")
    s.answer("and afterwards none of them is left", s.request("GET", CONTAINER + "example"), 200)
    descriptors = len(list((s.folder / "/proc").joinpath(str(s.worker.pid), "fd").iterdir()))
    s.tap.ok(descriptors < 40, "nor a descriptor", descriptors)
