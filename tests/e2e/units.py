#!/usr/bin/python3
"""systemd's files: systemd finds nothing wrong with them, the exposure of the services is small, and
they agree with the configuration, the sample and each other."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.append(sys.path[0] + "/../lib")
from harness import BUILD, CHECKOUT  # noqa: E402
from tap import Tap  # noqa: E402

EXPOSURE_MAX = 1.5
UNITS = ["runtime-catalogd.service", "runtime-catalogd@.service"]


def values(text, name):
    return re.findall(rf"^{name}=(.*)$", text, re.M)


def seconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(ms|s)?", text).groups()
    return float(number) / (1000 if unit == "ms" else 1)


def analyze(folder, *arguments):
    return subprocess.run(["systemd-analyze", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=60,
                          env=dict(os.environ, LC_ALL="C.UTF-8", SYSTEMD_COLORS="0", SYSTEMD_UNIT_PATH=f"{folder}:/lib/systemd/system"))


def put(folder):
    """The units where systemd looks for them, with a program that is there; of the template the
    instance x."""
    for name in UNITS:
        for name in (name, name.replace("service", "socket")):
            text = (BUILD / "src" / name).read_text().replace("%i", "x")
            text = re.sub(r"^ExecStart=\S+", f"ExecStart={BUILD}/runtime-catalogd", text, flags=re.M)
            (folder / name.replace("@", "@x")).write_text(text)


def exposure(folder, name):
    done = analyze(folder, "security", "--offline=true", f"--threshold={int(EXPOSURE_MAX * 10)}", folder / name.replace("@", "@x"))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    return done, float(found[1]) if found else None


tap = Tap(12)
service, socket = ((BUILD / "src" / f"runtime-catalogd.{kind}").read_text() for kind in ("service", "socket"))
sample = (CHECKOUT / "src/runtime-catalog.conf.sample").read_text()
timeouts = dict(re.findall(r'^ *# (\w+_timeout) = "(\w+)"$', sample, re.M))
with tempfile.TemporaryDirectory(dir=os.environ.get("RUNTIME_CATALOG_TEST_FOLDER")) as name:
    folder = pathlib.Path(name)
    put(folder)
    done = analyze(folder, "verify", "--man=no", *sorted(folder.iterdir()))
    tap.ok(done.returncode == 0 and not done.stdout + done.stderr, "systemd has nothing to complain of", done.stdout, done.stderr)
    for unit in UNITS:
        done, level = exposure(folder, unit)
        print(f"# {unit}: exposure {level}")
        tap.ok(done.returncode == 0 and level is not None and level <= EXPOSURE_MAX, f"{unit}: an exposure of {level}",
               done.stdout, done.stderr)

tap.ok(not re.search(r"@[A-Za-z_]+@", service + socket), "all is filled in", service, socket)
tap.equal(values(socket, "ListenStream"), [re.search(r'^ *address = "unix:(.*)"$', sample, re.M)[1]], "the socket is the sample's")
tap.equal(values(socket, "SocketMode"), [re.search(r'# mode = "(\d+)"', sample)[1]], "and so is its mode")
sysusers, tmpfiles = ((CHECKOUT / f"src/{kind}.conf").read_text() for kind in ("sysusers", "tmpfiles"))
user, *_ = values(service, "User")
tap.equal(re.findall(r"^u (\S+)", sysusers, re.M), [user], "sysusers.d makes the user")
tap.equal(re.findall(r"^d (\S+) 0755 (\S+)", tmpfiles, re.M), [(os.path.dirname(values(socket, "ListenStream")[0]), user)],
          "tmpfiles.d makes the folder of the socket, for them")
tap.ok(seconds(values(service, "WatchdogSec")[0]) > 3 * seconds(timeouts["request_timeout"]),
       "the watchdog waits for longer than threads may wait between two steps, thrice", service)
tap.ok(seconds(values(service, "TimeoutStopSec")[0]) > seconds(timeouts["shutdown_timeout"]), "a stop has the time that it may take")
tap.ok(seconds(values(service, "RestartSec")[0]) < 1 and values(service, "Restart") == ["on-failure"]
       and values(service, "StartLimitIntervalSec") == ["0"], "a worker that ended by accident is back within a second, always")
template = (BUILD / "src/runtime-catalogd@.service").read_text() + (BUILD / "src/runtime-catalogd@.socket").read_text()
tap.ok("/runtime-catalog/%i.conf" in template and "/run/runtime-catalog/%i.sock" in template and "worker.sock" not in template,
       "an instance has a configuration and a socket of its own", template)
sys.exit(tap.exit_status())
