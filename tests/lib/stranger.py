"""Another user of the machine: a process that stays root when the test stops being it, and then
connects as whom the test wants. Only where the test is started by root."""
import json
import os
import socket

from fastcgi import answer, received


def _ask(order):
    """In a process of its own, which becomes the user."""
    os.setgroups(order["groups"])
    os.setgid(order["group"])
    os.setuid(order["user"])
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(20)
        try:
            peer.connect(order["path"])
            peer.sendall(bytes.fromhex(order["data"]))
            return answer(received(peer)).decode()
        except OSError as error:
            return f"{type(error).__name__}"


def _in_child(order):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, _ask(order).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    os.wait()
    return text


class Stranger:
    """Made before the test stops being root."""

    def __init__(self):
        self.channel, other = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self.channel.close()
            with other.makefile("rw") as file:
                for line in file:
                    file.write(json.dumps(_in_child(json.loads(line))) + "\n")
                    file.flush()
            os._exit(0)
        other.close()
        self.file = self.channel.makefile("rw")

    def ask(self, path, data, user, group, groups=()):
        """What comes back, "" if the worker hangs up, or the name of an OSError."""
        self.file.write(json.dumps({"path": str(path), "data": data.hex(), "user": user, "group": group,
                                    "groups": list(groups)}) + "\n")
        self.file.flush()
        return json.loads(self.file.readline())

    def leave(self):
        self.file.close()
        self.channel.close()
        os.waitpid(self.pid, 0)
