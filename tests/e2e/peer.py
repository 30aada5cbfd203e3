#!/usr/bin/python3
"""The FastCGI socket itself: a peer that stops in the middle of something holds nobody up, and
what it sends whole is served."""
import sys

sys.path.append(sys.path[0] + "/../lib")
from fastcgi import STDIN, begin, parameters, received, record, request_pairs  # noqa: E402
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from processes import wait_for  # noqa: E402
from root import ONLY_ROOT  # noqa: E402

THREADS = 64


with stack(plan=13, worker={"storage": 'connect_timeout = "200ms"', "listener": 'request_timeout = "500ms"'}) as s:
    def send(data):
        """What comes back until the worker hangs up."""
        with s.connect_to_worker() as peer:
            peer.sendall(data)
            return received(peer)

    def request(method, path, length=0):
        return parameters(request_pairs(method, path, s.root_token, length))

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
    if s.root:
        descriptors = s.root.ask("descriptors", s.worker.pid)
        s.tap.ok(len(descriptors) < 40, "nor a descriptor", *descriptors)
    else:
        s.tap.skip("nor a descriptor", ONLY_ROOT)
