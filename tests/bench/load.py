"""Runs a load and says what it did: requests a second, latencies, CPU by program. Several loads
are run in turn, so that what disturbs one disturbs all."""
import dataclasses
import os
import re
import resource
import statistics
import subprocess

from servers import cpu_of

WRK_THREADS = 2


@dataclasses.dataclass
class Sample:
    """One load, once."""
    rate: float                # a second
    p50: float = None          # milliseconds
    p99: float = None
    p999: float = None
    most: float = None
    errors: int = 0            # answers that did not come, or were not good
    cpu: dict = dataclasses.field(default_factory=dict) # microseconds a request, by program
    others: float = 0          # share of the machine that was neither ours nor idle


def machine():
    """Seconds since boot, of all processors: busy, and all told."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(field) for field in file.readline().split()[1:9]]
    idle = ticks[3] + ticks[4]
    return [(sum(ticks) - idle) / os.sysconf("SC_CLK_TCK"), sum(ticks) / os.sysconf("SC_CLK_TCK")]


def own():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


class Meter:
    """CPU that the processes use while it is open, and what the rest of the machine does."""

    def __init__(self, programs):
        self.programs = programs # name: pid

    def __enter__(self):
        self.before = self.read()
        return self

    def read(self):
        return {name: cpu_of(pid) for name, pid in self.programs.items()}, own(), machine()

    def __exit__(self, *_):
        (before, own_before, machine_before), (after, own_after, machine_after) = self.before, self.read()
        self.used = {name: after[name] - before[name] for name in after}
        busy, total = (late - early for early, late in zip(machine_before, machine_after))
        self.others = max(0, busy - sum(self.used.values()) - (own_after - own_before)) / max(total, 0.01)

    def each(self, count):
        """Microseconds, of so many requests."""
        return {name: used / max(count, 1) * 1e6 for name, used in self.used.items()}


@dataclasses.dataclass
class Requests:
    """What to ask. The path may hold %d, a key from 1 to keys; the token as well, a number from 1 to
    tokens. No token: the site's."""
    path: str
    keys: int = 1
    method: str = "GET"
    body: str = ""
    token: str = ""
    tokens: int = 1


def wrk(site, front, programs, requests, connections, seconds, kind="plain"):
    """One load through a front; programs: name → pid."""
    environment = dict(os.environ, METHOD=requests.method, PATH_TO_ASK=requests.path, KEYS=str(requests.keys),
                       BODY=requests.body, TOKEN=requests.token or site.token, TOKENS=str(requests.tokens))
    threads = min(WRK_THREADS, connections)
    with Meter(programs) as meter:
        done = subprocess.run(["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s",
                               "-s", site.folder / "tests/bench/load.lua", front.urls[kind]],
                              env=environment, capture_output=True, text=True, check=True)
    fields = re.search(r"^BENCH (.*)$", done.stdout, re.M)
    if not fields:
        raise RuntimeError(f"wrk:\n{done.stdout}{done.stderr}")
    count, duration, p50, p99, p999, most, broken, refused = map(int, fields[1].split())
    return Sample(rate=count / duration * 1e6, p50=p50 / 1e3, p99=p99 / 1e3, p999=p999 / 1e3, most=most / 1e3,
                  errors=broken + refused, others=meter.others, cpu=meter.each(count))


def pgbench_command(site, script, definitions, connections, seconds, role):
    """script: a file of statements; definitions: name → value."""
    return ["pgbench", "-n", "-M", "prepared", "-c", str(connections), "-j", str(min(2, connections)), "-T", str(seconds),
            "-f", script, *(f"-D{name}={value}" for name, value in definitions.items()), site.cluster.dsn(role)]


def pgbench(site, script, connections, seconds, role):
    """One load of statements; script: (file, definitions)."""
    with Meter({"PostgreSQL": site.postgresql_pid()}) as meter:
        done = subprocess.run(pgbench_command(site, *script, connections, seconds, role), capture_output=True, text=True, check=False)
    count = re.search(r"^number of transactions actually processed: (\d+)", done.stdout, re.M)
    rate = re.search(r"^tps = ([\d.]+) \(without", done.stdout, re.M)
    failed = re.search(r"^number of failed transactions: (\d+)", done.stdout, re.M)
    if done.returncode or not (count and rate):
        raise RuntimeError(f"pgbench:\n{done.stdout}{done.stderr}")
    return Sample(rate=float(rate[1]), errors=int(failed[1]) if failed else 0, others=meter.others,
                  cpu=meter.each(int(count[1])))


def in_turn(rounds, loads):
    """loads: name → function that yields a Sample. Each is run once a round; the first round goes
    backwards, and so every other one, so that neither always runs in the other's wake."""
    samples = {name: [] for name in loads}
    for number in range(rounds):
        for name in (list(loads) if number % 2 else reversed(list(loads))):
            samples[name].append(loads[name]())
    return samples


def median(samples, field="rate"):
    values = [getattr(sample, field) for sample in samples if getattr(sample, field) is not None]
    return statistics.median(values) if values else None


def spread(samples):
    rates = [sample.rate for sample in samples]
    return min(rates), max(rates)


def cpu(samples, program):
    values = [sample.cpu[program] for sample in samples if program in sample.cpu]
    return statistics.median(values) if values else None
