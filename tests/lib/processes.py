"""Processes that a test starts: they never run as root, never outlive it, and never get lost."""
import ctypes
import os
import pwd
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_CHILD_SUBREAPER = 36
libc = ctypes.CDLL(None, use_errno=True)
companions = set() # our own helpers, which end with us


def wait_for(condition, seconds, what):
    """Waits until `condition()` is true and returns what it returned."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.005)
    return result


def listens(path):
    """Whether connections to a socket succeed, as the kernel has it: asking by connecting would leave
    traces in logs. A path is there before anybody listens, and the worker's may be entered last of all."""
    with open("/proc/net/unix", encoding="ascii", errors="replace") as file:
        return path.exists() and path.stat().st_mode & 0o777 and any(
            line.split()[3] == "00010000" and line.endswith(f" {path}\n") for line in file)


def wait_for_listener(child, path, log):
    """Waits until the child, which writes that log, listens on the socket."""
    def ready():
        if child.poll() is not None:
            raise RuntimeError(f"{child.args[0]} did not start (exit status {child.returncode}):\n{log.read_text()}")
        return listens(path)
    wait_for(ready, 20, f"somebody listens on {path}, see {log}")


def adopt_orphans():
    """What a child leaves behind becomes ours, so that leftovers() sees it."""
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def stop_being_root(folder):
    """PostgreSQL refuses root, and to root a refusal can look like a success."""
    if os.geteuid() != 0:
        return
    user = pwd.getpwnam("nobody")
    subprocess.run(["chown", "-R", f"{user.pw_uid}:{user.pw_gid}", folder], check=True)
    os.chdir("/")
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ.update(HOME=str(folder), USER="nobody", LOGNAME="nobody")
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def start(command, log, **more):
    """A child whose output goes to `log`, and which ends with us whatever becomes of us."""
    with open(log, "ab") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0), **more)


def stop(child, number, seconds=20):
    """Sends the signal and returns the exit status; a child that stays is killed, and that is
    an error."""
    if child.poll() is None:
        child.send_signal(number)
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        raise TimeoutError(f"{child.args[0]} did not stop within {seconds} s") from None


def children():
    me = os.getpid()
    with open(f"/proc/{me}/task/{me}/children", encoding="ascii") as file:
        return [int(pid) for pid in file.read().split() if int(pid) not in companions]


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read().replace("\0", " ").strip()
    except OSError:
        return ""


def leftovers():
    """Ends and names the processes that are still there after everything was stopped."""
    found = []
    while pids := children():
        found += [f"{pid} {command_of(pid)}" for pid in pids if command_of(pid)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0) # its own children, if any, are ours now
    return found
