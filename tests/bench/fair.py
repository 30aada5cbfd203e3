"""Ten times more clients than threads, and slow ones among them: nobody waits much longer than
others do, and nobody for ever."""
import contextlib
import json
import math
import socket
import threading
import urllib.parse

from chain import LIST, READ, ROUNDS
from harness import CONTAINER
from load import in_turn
from rows import measured, show
from servers import THREADS

CLIENTS = 10 * THREADS
SLOW_READERS = 2 * THREADS # so many threads could not wait for one each
SLOW_SENDERS = 2 * THREADS
SECONDS = 4
TICK = 0.05
READ_BYTES = 32 * 1024 # a tick
SENT_BYTES = 4 * 1024
BODY = json.dumps({"cpu_nanos": 1, "ignored": "x" * 200000}).encode()


class Slow:
    """A client that takes its time, again and again."""

    def __init__(self, port, head, body=b""):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 * READ_BYTES)
        self.socket.setblocking(False)
        self.request = head + body
        self.begin()
        self.answers = self.failures = 0

    def begin(self):
        self.left = self.request
        self.answer = b""
        self.missing = None # bytes of the answer's body; None: the head is not whole

    def step(self):
        """A little more of what it does, if nginx lets it."""
        with contextlib.suppress(BlockingIOError):
            if self.left:
                self.left = self.left[self.socket.send(self.left[:SENT_BYTES]):]
                return
            piece = self.socket.recv(READ_BYTES)
            if not piece:
                raise ConnectionError("nginx hung up")
            self.take(piece)

    def take(self, piece):
        if self.missing is None:
            self.answer += piece
            head, end, body = self.answer.partition(b"\r\n\r\n")
            if not end:
                return
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            self.failures += not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 204"))
            self.missing = int(lengths[0].split(b":")[1]) if lengths else 0
            piece = body
        self.missing -= len(piece)
        if self.missing <= 0:
            self.answers += 1
            self.begin()


class Crowd(threading.Thread):
    """Slow clients, all in one thread, until told to stop."""

    def __init__(self, bench):
        super().__init__()
        port = urllib.parse.urlsplit(bench.ours().front.urls["plain"]).port
        head = f"Host: localhost\r\nX-Vault-Token: {bench.site.token}\r\n"
        reader = f"LIST {LIST.path} HTTP/1.1\r\n{head}\r\n".encode()
        sender = f"POST {CONTAINER}slow HTTP/1.1\r\n{head}Content-Length: {len(BODY)}\r\n\r\n".encode()
        self.readers = [Slow(port, reader) for _ in range(SLOW_READERS)]
        self.senders = [Slow(port, sender, BODY) for _ in range(SLOW_SENDERS)]
        self.over = threading.Event()
        self.fault = None

    def run(self):
        try:
            while not self.over.wait(TICK):
                for one in self.readers + self.senders:
                    one.step()
        except OSError as error:
            self.fault = error

    def end(self):
        self.over.set()
        self.join()
        for one in self.readers + self.senders:
            one.socket.close()


def fair(bench):
    crowd = Crowd(bench)
    crowd.start()
    samples = in_turn(ROUNDS, {"worker": bench.load(bench.ours(), READ, CLIENTS, seconds=SECONDS)})
    crowd.end()
    show(f"fair, {CLIENTS} clients that read, {SLOW_READERS} that read lists slowly, {SLOW_SENDERS} that send slowly",
                       samples)
    answered = [[one.answers for one in group] for group in (crowd.readers, crowd.senders)]
    print(f"  slow readers had {sum(answered[0])} lists, the least {min(answered[0])}; slow senders "
          f"{sum(answered[1])} answers, the least {min(answered[1])}")
    if crowd.fault:
        print(f"  the slow ones broke off: {crowd.fault}")
    worst = max(sample.p99 * sample.rate / CLIENTS / 1000 if sample.rate else math.inf for sample in samples["worker"])
    starved = sum(count == 0 for group in answered for count in group) + sum(one.failures for one in crowd.readers + crowd.senders)
    bench.results.add(
        measured("fair: p99 of reads, worst round", "times the mean", worst),
        measured("fair: longest read", "ms", max(sample.most for sample in samples["worker"])),
        measured("fair: clients that starved", "clients", starved + bool(crowd.fault) + sum(one.errors for one in samples["worker"])))
