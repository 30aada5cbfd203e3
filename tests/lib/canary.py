"""A client that reads all the while somebody else does harm: it must never notice."""
import threading
import time


class Canary:
    """with Canary(s, path) as canary: …; then canary.statuses are what it got, and canary.slowest is
    the longest that it waited, in seconds. Each read is a connection of its own."""

    def __init__(self, s, path, pause=0.02):
        self.s, self.path, self.pause = s, path, pause
        self.statuses = {}
        self.slowest = 0.0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.wait(self.pause):
            started = time.monotonic()
            try:
                status = self.s.request("GET", self.path).status
            except OSError as error:
                status = type(error).__name__
            self.slowest = max(self.slowest, time.monotonic() - started)
            self.statuses[status] = self.statuses.get(status, 0) + 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def __str__(self):
        return f"{sum(self.statuses.values())} reads meanwhile: {self.statuses}, the slowest {self.slowest:.2f} s"
