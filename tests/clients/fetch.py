#!/usr/bin/python3
"""fetch.py CLIENT FOLDER: puts a published client and its driver into FOLDER, ready to run.

Each client's folder here pins its release and all that it needs, by version and by hash, in the
file that its own package manager reads; it comes from the index that this package manager is
configured for, and no code of it runs meanwhile. What was fetched once stays under .dev/clients/.

Exit status 77: cannot be had here, the output says why. A pin that is not kept is no such reason.
"""
import hashlib
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "lib"))
from processes import start, stop  # noqa: E402

CACHE = HERE.parents[1] / ".dev/clients"
SKIPPED = 77
SECONDS_TO_DOWNLOAD = 60
SECONDS_TO_COMPILE = 300

# Package managers, as they complain of pins that are not kept or that do not agree.
BROKEN_PIN = r"DO NOT MATCH THE HASHES|--require-hashes|EINTEGRITY|EUSAGE|SECURITY ERROR|checksum mismatch|go\.sum"

# What runs in the client's folder, and for how many seconds; {new} is for what is not to stay.
PIP = [sys.executable, "-m", "pip", "install", "-q", "--no-cache-dir", "--disable-pip-version-check",
       "--retries", "1", "--timeout", "10", "--no-deps", "--only-binary", ":all:", "--no-compile",
       "--require-hashes", "-r", "requirements.txt", "--target", "."]
NPM = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error",
       "--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=10000", "--cache={new}/cache"]
CLIENTS = {
    "hvac": [(SECONDS_TO_DOWNLOAD, PIP)],
    "node-vault": [(SECONDS_TO_DOWNLOAD, NPM)],
    "go": [(SECONDS_TO_DOWNLOAD, ["go", "mod", "download"]),
           (SECONDS_TO_COMPILE, ["go", "build", "-mod=readonly", "-o", "driver", "."])],
}
ENVIRONMENT = {"GOPATH": "{new}/go", "GOCACHE": "{new}/go-build", "GOFLAGS": "-modcacherw",
               "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}


def run(seconds, command, new):
    """Runs one command; a download that fails ends all, and says whose fault it is."""
    if not shutil.which(command[0]):
        print(f"no {command[0]}")
        sys.exit(SKIPPED)
    log = new / "log"
    log.unlink(missing_ok=True)
    child = start(["timeout", "-k", "5", str(seconds), *(word.format(new=new) for word in command)], log,
                  cwd=new / "made", env=dict(os.environ, **{key: value.format(new=new)
                                                            for key, value in ENVIRONMENT.items()}))
    try:
        status = child.wait()
    finally:
        stop(child, signal.SIGTERM)
    if status == 0:
        return
    output = log.read_text(errors="replace").strip() or f"nothing within {seconds} s"
    unreachable = seconds == SECONDS_TO_DOWNLOAD and not re.search(BROKEN_PIN, output)
    print(output.splitlines()[0][-100:] if unreachable else output) # the cause stands at a line's end
    sys.exit(SKIPPED if unreachable else 1)


def fetch(name):
    """The folder of this client, by all that makes it; of two that fetch at once, one is kept."""
    source = HERE / name
    key = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(source.iterdir()))).hexdigest()
    kept = CACHE / f"{name}-{key[:16]}"
    if not kept.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new.", dir=CACHE) as new:
            new = pathlib.Path(new)
            shutil.copytree(source, new / "made")
            for seconds, command in CLIENTS[name]:
                run(seconds, command, new)
            try:
                (new / "made").rename(kept)
            except OSError:
                if not kept.is_dir():
                    raise
    return kept


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    name, folder = sys.argv[1:]
    shutil.copytree(fetch(name), folder)


if __name__ == "__main__":
    main()
