#!/usr/bin/python3
"""Whom the worker trusts, and with what it is trusted: who may connect to its socket, whatever the
mode of that has become; and no rights of root's."""
import grp
import os
import pwd
import subprocess
import sys

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from fastcgi import request  # noqa: E402
from harness import BUILD, CATALOG, stack  # noqa: E402
from processes import wait_for  # noqa: E402
from root import ONLY_ROOT  # noqa: E402
from stranger import Stranger  # noqa: E402

ROOT_ONLY = "another user of the machine is needed: run as root"
DAEMON, GAMES = (pwd.getpwnam(name).pw_uid for name in ("daemon", "games"))
GROUP = grp.getgrnam("nogroup").gr_gid # of the socket: the worker's own
OTHER = grp.getgrnam("games").gr_gid
SERVED, DROPPED = "an answer", "hung up"

# peer_users, who comes, as which user, in which groups, and what becomes of them.
PEERS = [
    ("", "a stranger", DAEMON, OTHER, [], DROPPED),
    ("", "one in the socket's group", DAEMON, GROUP, [], SERVED),
    ("", "one who has it as a group more", DAEMON, OTHER, [OTHER, GROUP], SERVED),
    ("", "one with many groups, none of them it", DAEMON, OTHER, list(range(70000, 70500)), DROPPED),
    ("", "one with many groups, the last of them it", DAEMON, OTHER, [*range(70000, 70500), GROUP], SERVED),
    ("", "root", 0, 0, [], SERVED),
    ('peer_users = ["daemon"]', "the user who is named", DAEMON, OTHER, [], SERVED),
    ('peer_users = ["daemon"]', "another one, in the socket's group", GAMES, GROUP, [GROUP], DROPPED),
    ('peer_users = ["daemon"]', "root", 0, 0, [], SERVED),
    (f'peer_users = ["daemon", "{GAMES}"]', "a user who is named by number", GAMES, OTHER, [], SERVED),
]
# peer_users, and what -t says of it.
BAD_USERS = [('peer_users = ["no-such-user"]', 'there is no user "no-such-user"'), ('peer_users = ["a b"]', "must be a list of users"),
             ('peer_users = "daemon"', "must be a list of users"), ("peer_users = []", "must be a list of users"),
             ("peer_users = [1]", "must be a list of users"), (f"peer_users = {['1'] * 17}".replace("'", '"'), "16 at most")]
CROWD = 50

as_root = {}


def bring(_folder):
    """What only root can try."""
    if os.geteuid() == 0:
        as_root["done"] = [subprocess.run([BUILD / "runtime-catalogd", *arguments], capture_output=True, text=True, check=False,
                                          timeout=20, stdin=subprocess.DEVNULL) for arguments in ([], ["-t"], ["-c", "/nonexistent"])]
        as_root["stranger"] = Stranger()


with stack(plan=len(PEERS) + len(BAD_USERS) + 8, bring=bring) as s:
    socket = s.folder / "worker.sock"
    stranger = as_root.get("stranger")
    s.folder.chmod(0o711)
    read = request("GET", CATALOG, s.root_token)

    def use(listener):
        s.stop_worker()
        s.configure_worker(edit=lambda text: text.replace('"0660"', '"0666"'), listener=listener)
        s.start_worker()

    def outcome(user, group, groups):
        text = stranger.ask(socket, read, user, group, groups)
        return SERVED if '"runtimes":[]' in text else DROPPED if text in ("", "BrokenPipeError", "ConnectionResetError") else text

    def said():
        return [line for log in s.worker_logs() for line in lines_of(log) if "may not connect" in line]

    configured = None
    for listener, who, user, group, groups, wanted in PEERS:
        name = f"{listener or 'no peer_users'}: {who}: {wanted}"
        if not stranger:
            s.tap.skip(name, ROOT_ONLY)
            continue
        if configured != listener:
            use(configured := listener)
        s.tap.equal(outcome(user, group, groups), wanted, name)
    if stranger:
        use("")
        before = len(said())
        s.tap.equal({outcome(DAEMON, OTHER, []) for _ in range(CROWD)}, {DROPPED}, "a crowd of strangers")
        wait_for(lambda: len(said()) > before, 10, "a line about them")
        s.tap.ok(len(said()) <= before + 2, "does not fill the log", *said())
        s.tap.ok(f"of user {DAEMON}, group {OTHER}" in said()[-1] and "[WARN]" in said()[-1], "which says who it was", *said()[-1:])
        s.answer("nginx is served all the while", s.request("GET", CATALOG), 200)
        stranger.leave()
    else:
        for name in ("a crowd of strangers", "does not fill the log", "which says who it was", "nginx is served all the while"):
            s.tap.skip(name, ROOT_ONLY)

    for listener, text in BAD_USERS:
        s.configure_worker(listener=listener)
        done = subprocess.run([s.folder / "bin/runtime-catalogd", "-t", "-c", s.folder / "worker.conf"], capture_output=True,
                              text=True, check=False, timeout=20)
        s.tap.ok(done.returncode == 1 and text in done.stderr, f"-t: {listener[:40]}: {text}", done)
    s.configure_worker()

    if as_root:
        refused = [done.returncode == 1 and "does not run as root" in done.stderr for done in as_root["done"]]
        s.tap.ok(all(refused), "root is refused before anything is read", *as_root["done"])
    else:
        s.tap.skip("root is refused before anything is read", ROOT_ONLY)
    status = dict(line.split(":\t", 1) for line in lines_of(s.folder / f"/proc/{s.worker.pid}/status") if ":\t" in line)
    s.tap.equal((status["CapPrm"], status["CapEff"]), ("0" * 16, "0" * 16), "the worker has no capability")
    s.tap.equal(status["NoNewPrivs"], "1", "and no program that it could start would have any")
    if s.root:
        files = {path for path, is_file in s.root.ask("descriptors", s.worker.pid) if is_file}
        s.tap.equal(files, {str(s.worker_log), str(s.audit_log), f"{s.audit_log}.lock"},
                    "no file is open but the log on standard error, and the audit log with its lock")
    else:
        s.tap.skip("no file is open but the logs", ONLY_ROOT)
