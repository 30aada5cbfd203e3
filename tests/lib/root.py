"""What root alone may see of a process that keeps its memory to itself, for tests that are root no
longer: a helper is made while they are, and looks on request until they end."""
import contextlib
import ctypes
import json
import os
import signal
import socket
import stat

from leaks import in_memory
from processes import PR_SET_PDEATHSIG, companions


def descriptors(pid):
    """What each open descriptor is, and whether it is a regular file."""
    folder = f"/proc/{pid}/fd"
    return [(os.readlink(f"{folder}/{fd}"), stat.S_ISREG(os.stat(f"{folder}/{fd}").st_mode)) for fd in os.listdir(folder)]


def environment(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:
        return file.read().decode("latin-1")


ONLY_ROOT = "only root may look into the worker"
TASKS = {task.__name__: task for task in (in_memory, descriptors, environment)}


class Root:
    """Make one before stop_being_root()."""

    def __init__(self):
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            for fd in {int(fd) for fd in os.listdir("/proc/self/fd")} - {0, 1, 2, theirs.fileno()}:
                with contextlib.suppress(OSError): # others wait for these to be closed
                    os.close(fd)
            with theirs, theirs.makefile("rw") as file:
                self.serve(file)
            os._exit(0)
        theirs.close()
        companions.add(pid)
        self.file = ours.makefile("rw")

    @staticmethod
    def serve(file):
        for line in file:
            task, *arguments = json.loads(line)
            try:
                answer = [TASKS[task](*arguments)]
            except OSError as error:
                answer = [None, str(error)]
            file.write(json.dumps(answer) + "\n")
            file.flush()

    def ask(self, task, *arguments):
        self.file.write(json.dumps([task, *arguments]) + "\n")
        self.file.flush()
        answer, *error = json.loads(self.file.readline())
        if error:
            raise OSError(f"{task} {arguments}: {error[0]}")
        return answer
