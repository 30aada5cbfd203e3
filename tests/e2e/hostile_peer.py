#!/usr/bin/python3
"""The worker's socket, by peers that may connect and speak FastCGI as no web server does: cut into
every two pieces, padded, interleaved, with lengths that nothing has. Each is answered or hung up on,
and the others are served all the while. A few can end the process, inside libfcgi, which only who
may connect could do: then it is back at once, nobody who waits is lost, nor anything that was
acknowledged.

The long form goes on with requests that are changed at random."""
import concurrent.futures
import os
import random
import re
import struct
import sys
import threading
import time
import types

sys.path.append(sys.path[0] + "/../lib")
from canary import Canary  # noqa: E402
from cluster import lines_of  # noqa: E402
from fastcgi import (ABORT, AUTHORIZER, BEGIN, DATA, FILTER, GET_VALUES, PARAMS, STDIN, answer, begin,  # noqa: E402
                     exchange, length, pair, parameters, received, record, records, request, request_pairs)
from harness import CATALOG, CHECKOUT, CONTAINER, stack  # noqa: E402
from processes import stop, wait_for  # noqa: E402

SECONDS = float(os.environ.get("RUNTIME_CATALOG_SOAK_SECONDS", "3"))
SEED = 20260130
PEERS = 24 # at once, fewer than there are threads
WIDE = 1 << 31
# What a request that is whole is answered with, and what is hung up on.
SERVED, HUNG_UP, MISCONFIGURED, REPEATED = "Status: 200", "", "Status: 500", "Status: 400"
PARAMETERS = (CHECKOUT / "src/request.h").read_text()
READ, NOTED = (re.findall(r"\bX\(([A-Z_]+), \w+\)", text) for text in (PARAMETERS, PARAMETERS.partition("REQUEST_LOOSE_HEADERS")[2])) # the first counts


def lengths(name, value, rest=b""):
    """A pair's lengths, whatever follows."""
    return struct.pack("!II", WIDE | name, WIDE | value) + rest


def in_records(content, size=65528):
    return b"".join(record(PARAMS, content[i:i + size]) for i in range(0, len(content), size)) + record(PARAMS)


class Peer:
    """Requests to read a list, and what may be wrong with them."""

    def __init__(self, s):
        self.s = s
        self.pairs = request_pairs("GET", CATALOG, s.root_token)
        self.content = b"".join(pair(name, value) for name, value in self.pairs.items())
        self.good = request("GET", CATALOG, s.root_token)
        self.rest = self.good[16:] # behind the beginning

    def with_pairs(self, *more):
        return begin(0) + parameters([*self.pairs.items(), *more]) + record(STDIN)

    def with_content(self, more):
        return begin(0) + in_records(self.content + more) + record(STDIN)

    def odd(self):
        """name, bytes, what is answered."""
        good, rest = self.good, self.rest
        yield from [
            ("lengths of one byte", begin(0) + in_records(b"".join(pair(*both, wide=False) for both in self.pairs.items())) + record(STDIN), SERVED),
            ("an empty name", self.with_pairs(("", "x")), SERVED), ("an empty value", self.with_pairs(("X", "")), SERVED),
            ("a name with an equals sign", self.with_pairs(("X=/", "x"), ("=", "=")), SERVED),
            ("a name that looks like a second one", self.with_pairs(("REQUEST_URI=/", "x")), MISCONFIGURED),
            ("a name and a value with a NUL", self.with_pairs(("A\0B", "C\0D")), SERVED),
            ("a value that no parameter has", self.with_pairs(("X", bytes(range(256)))), SERVED),
            ("ten thousand parameters", self.with_content(b"".join(pair(f"N{i}", "v") for i in range(10000))), SERVED),
            ("a value of 4 MiB", self.with_content(pair("X", b"y" * (4 << 20))), SERVED),
            ("a record of 65535 bytes with 255 of padding", begin(0) + record(PARAMS, self.content + pair("X", b"y" * (65535 - len(self.content) - 9)), 1, 255)
             + record(PARAMS) + record(STDIN), SERVED),
            ("a name of 2^31 - 1 bytes", self.with_content(lengths(0x7fffffff, 1, b"x" * 99)), HUNG_UP),
            ("a value of 2^31 - 1 bytes", self.with_content(lengths(1, 0x7fffffff, b"x" * 99)), HUNG_UP),
            ("both", self.with_content(lengths(0x7fffffff, 0x7fffffff, b"x" * 99)), HUNG_UP),
            ("a value longer than all that follows", self.with_content(lengths(4, 1000, b"NAME")), HUNG_UP),
            ("lengths and nothing behind", self.with_content(lengths(4, 4)), HUNG_UP),
            ("half of a length", self.with_content(b"\x80\0"), HUNG_UP),
            ("an authorizer", begin(0, AUTHORIZER) + rest, SERVED), ("a filter", begin(0, FILTER) + rest, SERVED),
            ("a role that there is not", begin(0, 9) + rest, HUNG_UP), ("no role", begin(0, 0) + rest, HUNG_UP),
            ("another version", record(BEGIN, struct.pack("!HB5x", 1, 0), version=2) + rest, HUNG_UP),
            ("version 0 in the middle", begin(0) + record(PARAMS, self.content, version=0) + rest, HUNG_UP),
            ("request 0", begin(0, request=0) + rest, HUNG_UP),
            ("a beginning that is too short", record(BEGIN, b"\0\1") + rest, HUNG_UP),
            ("a beginning that is too long", record(BEGIN, b"\0\1\0" + b"\0" * 100) + rest, HUNG_UP),
            ("no beginning", rest, HUNG_UP), ("an end of input first", record(STDIN, b"x") + good, SERVED),
            ("an abort first", record(ABORT) + good, HUNG_UP), ("an abort of what has begun", begin(0) + record(ABORT) + rest, HUNG_UP),
            ("an abort in the middle", good[:100] + record(ABORT), HUNG_UP), ("an abort at the end", good[:-8] + record(ABORT) + record(STDIN), SERVED),
            ("an abort behind the end", good + record(ABORT), SERVED), ("a record of an unknown type", begin(0) + record(99, b"hello") + rest, HUNG_UP),
            ("data, which is for filters", begin(0) + record(DATA, b"x") + rest, HUNG_UP),
            ("a question about the server", record(GET_VALUES, pair("FCGI_MPXS_CONNS", ""), 0) + good, SERVED),
            ("a question about nothing", record(GET_VALUES, b"", 0) + good, SERVED),
            ("a second request in the first", begin(0) + begin(0, request=2) + rest, SERVED),
            ("parameters of another request", begin(0) + parameters({"REQUEST_METHOD": "DELETE"}, 7) + rest, MISCONFIGURED),
            ("a second beginning", begin(0) + begin(0) + rest, SERVED),
            ("a body that nobody announced", good[:-8] + record(STDIN, b"{}") + record(STDIN), SERVED),
            ("zeros", b"\0" * 70000, HUNG_UP), ("ones", b"\xff" * 70000, HUNG_UP), ("text", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", HUNG_UP),
            ("the greatest id", begin(0, request=65535) + parameters(self.pairs, 65535) + record(STDIN, b"", 65535), SERVED),
        ]
        for size in (0, 1, 126, 127, 128, 129, 255, 256, 65535, 65536):
            for wide in (False, True):
                yield f"a value of {size} bytes, {'wide' if wide else 'narrow'}", self.with_content(pair("X", b"y" * size, wide)), SERVED
        for name in READ:
            more = [(name, self.pairs.get(name, ""))] * (1 if name in self.pairs else 2)
            yield f"{name} twice", self.with_pairs(*more), SERVED if name in NOTED else REPEATED if name.startswith("HTTP_") else MISCONFIGURED
        for padding in range(256):
            yield f"{padding} bytes of padding", begin(0) + parameters(self.pairs, 1, padding) + record(STDIN, b"", 1, padding), SERVED
        for at in range(1, len(self.content)):
            yield f"parameters cut after {at} bytes", begin(0) + record(PARAMS, self.content[:at]) + in_records(self.content[at:]) + record(STDIN), SERVED

    def deadly(self):
        """What libfcgi 2.4.2 does not survive: sums of lengths that do not fit into an int, and more questions
        than it has room to answer."""
        for name, value in ((0x7ffffff0, 0x10), (0x7ffffffe, 0), (0x7ffffff0, 0x7ffffff0)):
            yield f"lengths of {name:#x} and {value:#x}", self.with_content(lengths(name, value, b"x" * 99))
        yield "two thousand questions", record(GET_VALUES, pair("FCGI_MAX_CONNS", "", wide=False) * 2000, 0) + self.good

    def leaky(self):
        """What libfcgi forgets 48 bytes at: questions that it does not understand."""
        return [record(GET_VALUES, lengths(0x7fffffff, 0x7fffffff), 0) + self.good, record(77, b"x", 0) + self.good]

    def send(self, *pieces):
        """What comes back. A pause makes the worker see the pieces one by one."""
        with self.s.connect_to_worker() as peer:
            try:
                for number, piece in enumerate(pieces):
                    if number:
                        time.sleep(0.0003)
                    peer.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                pass # it hung up in the middle
            return received(peer)

    def outcome(self, *pieces):
        return answer(self.send(*pieces)).decode(errors="replace")[:11]


class Service:
    """What systemd does with the unit that is installed: it holds the socket, and starts the worker again
    when it has ended by accident."""

    RESTART = 0.2 # RestartSec

    def __init__(self, s, configuration):
        self.s = s
        self.listener = s.listen_for_workers()
        s.configure_worker(**configuration)
        self.ends, self.over = [], threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.worker = self.start()
        self.thread.start()

    def start(self):
        return self.s.start_sharing(self.listener, "deadly", "LISTEN_FDS")

    def run(self):
        while not self.over.is_set():
            if self.worker.poll() is not None and not self.over.is_set():
                self.ends.append(self.worker.returncode)
                time.sleep(self.RESTART)
                self.worker = self.start()
            time.sleep(0.005)

    def end(self):
        self.over.set()
        self.thread.join()
        status = stop(self.worker, 15)
        self.listener.close()
        return status


def mutants(dice, requests):
    """Good requests with some bytes changed, gone, new, or repeated."""
    while True:
        data = bytearray(dice.choice(requests))
        for _ in range(dice.choice([1, 1, 2, 3, 8])):
            at, size = dice.randrange(len(data)), dice.choice([1, 1, 2, 4, 8, 40])
            match dice.randrange(5):
                case 0: data[at] ^= 1 << dice.randrange(8)
                case 1: data[at:at + size] = dice.randbytes(size)
                case 2: del data[at:at + size]
                case 3: data[at:at] = dice.choice([b"\xff", b"\0", b"\x80\0\0\0", b"\x7f\xff\xff\xff"]) * size
                case 4: data[at:at] = data[at:at + size] * dice.choice([1, 2, 50])
            if not data:
                break
        yield bytes(data)


MANY = r"\d+ bytes of padding|parameters cut"
ODD = sum(not re.match(MANY, name) for name, *_ in Peer(types.SimpleNamespace(root_token="x")).odd())
with stack(plan=ODD + 14, worker={"storage": 'connect_timeout = "500ms"', "listener": 'request_timeout = "2s"'}) as s:
    s.expect("nginx", "upstream", "connect\\(\\)")
    s.expect("worker", "the web server (sends|did not send) [A-Z_]+")
    s.expect("postgresql", "connection to client lost", "unexpected EOF")
    s.register("example")
    peer = Peer(s)
    odd = list(peer.odd())
    with Canary(s, CONTAINER + "example") as canary, concurrent.futures.ThreadPoolExecutor(8) as peers:
        outcomes = list(peers.map(lambda row: peer.outcome(row[1]), odd))
        many = [(row, got) for row, got in zip(odd, outcomes) if re.match(MANY, row[0])]
        for (name, _, wanted), got in zip(odd, outcomes):
            if not re.match(MANY, name):
                s.tap.equal(got, wanted, f"{name}: {wanted or 'hung up on'}")
        s.tap.equal([row[0] for row, got in many if got != row[2]], [], f"{len(many)} paddings and cuts: served")
        good = request("PUT", CONTAINER + "cut", s.root_token, b'{"cpu_nanos": 7}')
        cut = list(peers.map(lambda at: answer(peer.send(good[:at], good[at:]))[:11], range(1, len(good))))
        s.tap.equal(set(cut), {b"Status: 204"}, f"a write that comes in two pieces, cut at each of {len(cut)} places")
        s.tap.equal(peer.outcome(*(peer.good[at:at + 1] for at in range(len(peer.good)))), SERVED, "a read that comes byte by byte")
        kept = s.connect_to_worker()
        replies = [exchange(kept, request("GET", CATALOG, s.root_token, keep=1))[:11] for _ in range(20)]
        kept.close()
        s.tap.equal(set(replies), {b"Status: 200"}, "and whoever behaves may stay")
    s.tap.ok(set(canary.statuses) == {200}, f"the others are served: {canary}", canary.statuses)
    s.tap.equal(s.worker.poll(), None, "the same worker all the time")
    with open(f"/proc/{s.worker.pid}/status", encoding="ascii") as file:
        peak = int(re.search(r"VmHWM:\s+(\d+)", file.read())[1])
    s.tap.ok(peak < 700_000, f"which never held more than {peak // 1024} MiB")
    s.stop_worker()

    # What ends the process. Its log says things that no other test may see; leaks are libfcgi's.
    (s.folder / "deadly").mkdir()
    os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
    service = Service(s, {"storage": 'connect_timeout = "200ms"', "listener": 'request_timeout = "500ms"'})
    wait_for(lambda: s.request("GET", CONTAINER + "example").status == 200, 20, "the service serves")
    written, ended, slowest = 0, [], 0.0
    for name, data in peer.deadly():
        written += 1
        s.register("example", cpu_nanos=written)
        count = len(service.ends)
        peer.send(data)
        started = time.monotonic()
        wait_for(lambda: len(service.ends) > count, 20, f"the process ends: {name}") # pylint: disable=cell-var-from-loop
        back = s.request("GET", CONTAINER + "example")
        slowest = max(slowest, time.monotonic() - started)
        ended.append((name, back.status, (back.data or {}).get("cpu_nanos") == written))
    s.tap.equal({row[1:] for row in ended}, {(200, True)}, "after each death: the next request waits for the next worker, and nothing is lost")
    print(f"# {len(ended)} deaths ({service.ends}); the slowest answer came {slowest:.2f} s after one, of which {Service.RESTART} s are RestartSec")
    s.tap.ok(slowest < 10, "at once", slowest)
    s.tap.equal([peer.outcome(data) for data in peer.leaky()], [HUNG_UP] * 2, "questions that libfcgi does not understand: hung up on")

    def settled(number):
        """Writes and reads, until both are answered."""
        wait_for(lambda: s.request("PUT", CONTAINER + "example", {"cpu_nanos": number}).status == 204, 20, "a write")
        return wait_for(lambda: (read := s.request("GET", CONTAINER + "example")).status == 200 and read.data, 20, "a read")["cpu_nanos"]

    dice, tried, lost, end = random.Random(SEED), 0, 0, time.monotonic() + SECONDS
    changed = mutants(dice, [good, peer.good])
    with concurrent.futures.ThreadPoolExecutor(PEERS) as peers:
        while time.monotonic() < end:
            list(peers.map(peer.send, [next(changed) for _ in range(PEERS)]))
            tried += PEERS
            written += 1
            lost += settled(written) != written
    print(f"# {tried} requests changed at random, seed {SEED}; the process ended {len(service.ends) - len(ended)} times more")
    s.tap.ok(tried > PEERS, "requests that are changed at random", tried)
    s.tap.equal(lost, 0, "between them writes and reads are answered, and nothing is lost")
    s.tap.equal(service.end(), 0, "and the worker stops in order")
    for log in s.folder.glob("worker-deadly.log"):
        log.rename(s.folder / "deadly" / log.name)
    s.configure_worker()
    s.start_worker()
    s.answer("all is well", s.request("GET", CONTAINER + "example"), 200)
