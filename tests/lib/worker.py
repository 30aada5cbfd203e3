"""A worker beside the one that nginx knows, on a socket of its own, asked directly: so it is known
which of several answers."""
import json
import signal

import fastcgi
from processes import start, stop, wait_for_listener


def ask_all(connection, method, path, token, body=None, **parameters):
    """(status, headers by name, what the body says)."""
    content = b"" if body is None else json.dumps(body).encode()
    connection.send(fastcgi.request(method, path, token, content, keep=1, **parameters))
    head, _, text = connection.receive().partition(b"\r\n\r\n")
    headers = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n"))
    return int(headers["Status"].split()[0]), headers, json.loads(text) if text else None


def ask(*arguments, **more):
    """(status, what the body says)."""
    status, _, body = ask_all(*arguments, **more)
    return status, body


class Beside:
    def __init__(self, s, name, cache="", edit=lambda text: text):
        """Of a stack; edit is configure_worker()'s, for more than the lines of the block cache."""
        self.s, self.name, self.path = s, name, s.folder / f"{name}.sock"
        configuration, log = s.folder / f"{name}.conf", s.folder / f"worker-{name}.log"
        s.configure_worker(lambda text: edit(text.replace("worker.sock", f"{name}.sock")), cache=cache,
                           storage='tidy_interval = "10m"') # what else an idle worker does
        (s.folder / "worker.conf").rename(configuration)
        self.child = start([s.folder / "bin" / s.program, "-c", configuration], log)
        wait_for_listener(self.child, self.path, log)
        self.connection = self.connect()

    def connect(self):
        return fastcgi.Connection(self.path)

    def ask(self, method, path, body=None, token=None, **parameters):
        """By a token or root's."""
        return ask(self.connection, method, path, token or self.s.root_token, body, **parameters)

    def status(self, *arguments, **more):
        return self.ask(*arguments, **more)[0]

    def stop(self):
        self.connection.close()
        return stop(self.child, signal.SIGTERM)
