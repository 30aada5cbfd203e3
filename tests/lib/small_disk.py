"""A disk that is soon full: a tmpfs which nobody else sees. Only root can make one, so it is made,
and taken away again, by a process that stays root when the test stops being it."""
import ctypes
import os
import signal
import subprocess

CLONE_NEWNS = 0x20000
libc = ctypes.CDLL(None, use_errno=True)


class SmallDisk:
    def __init__(self, size="4m"):
        self.size, self.path, self.keeper, self.pid = size, None, None, 0
        self.reason = None # why there is none

    def bring(self, folder):
        """For harness.stack(bring=…): mounts it below the folder."""
        if os.geteuid() != 0:
            self.reason = "a small disk is root's to mount"
            return
        if libc.unshare(CLONE_NEWNS) != 0:
            self.reason = f"no mount namespace: {os.strerror(ctypes.get_errno())}"
            return
        self.path = folder / "small"
        self.path.mkdir()
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.size}", "tmpfs", self.path], check=True)
        reader, self.keeper = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.keeper)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.read(reader, 1) # until it is told to, or the test is gone
            subprocess.run(["umount", "-l", self.path], check=False)
            os._exit(0)
        os.close(reader)

    def fill(self):
        """Leaves no room. The kernel says when there is none."""
        with open(self.path / "filler", "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def clear(self):
        (self.path / "filler").unlink()

    def close(self):
        """Whoever uses it yet keeps what is open."""
        os.close(self.keeper)
        os.waitpid(self.pid, 0)
