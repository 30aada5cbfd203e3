"""What the worker takes: memory, time to start, wake-ups; and how time and memory grow with what is
stored."""
import os
import statistics
import time

from chain import CLIENTS, EMPTY, LIST, READ, ROUNDS, RUNTIMES
from harness import CONTAINER
from load import Requests, in_turn, median
from plot import plot
from rows import compared, measured, show
from servers import ask_directly, resident_mb

SIZES = (1000, 10000, 100000, 1000000)
POLICIES, TOKENS, NAMESPACES = 1000, 100000, 1000
TOKENS_USED = 1000
ALL_BYTES = 'max_bytes = "1GiB"' # of the cache: everything fits
STARTS = 5
IDLE_SECONDS = 10

# Policies, of which the first has 1,000 rules; tokens with one of them each; namespaces with ten
# runtimes each.
NEIGHBOURS = """
INSERT INTO runtime_catalog.policy (namespace_id, name, text)
SELECT 1, 'bench-' || number,
       'path "sys/plugins/runtimes/catalog*" { capabilities = ["read", "list", "sudo"] } '
       || CASE number WHEN 0 THEN rules.text ELSE '' END
  FROM generate_series(0, %(policies)d - 1) AS number,
       (SELECT string_agg('path "sys/plugins/runtimes/catalog/container/rule-' || rule || '" { capabilities = ["deny"] } ', '')
          FROM generate_series(2, 1000) AS rule) AS rules (text);
INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies)
SELECT sha256(convert_to('hvs.Bench' || lpad(number::text, 24, '0'), 'UTF8')), 'Bench' || lpad(number::text, 19, '0'), 1,
       ARRAY['bench-' || number %% %(policies)d]
  FROM generate_series(1, %(tokens)d) AS number;
INSERT INTO runtime_catalog.namespace (path, parent_id)
SELECT 'bench-' || number || '/', 1 FROM generate_series(1, %(namespaces)d) AS number;
INSERT INTO runtime_catalog.runtime (namespace_id, type, name)
SELECT namespace.id, 'container', number::text
  FROM runtime_catalog.namespace, generate_series(1, 10) AS number WHERE path LIKE 'bench-%%';
""" % {"policies": POLICIES, "tokens": TOKENS, "namespaces": NAMESPACES}

# Many rows at once: with the triggers off, as sql/README.md has it, and everybody told afterwards.
LOAD = """
BEGIN;
ALTER TABLE runtime_catalog.runtime DISABLE TRIGGER USER;
INSERT INTO runtime_catalog.runtime (namespace_id, type, name, cgroup_parent, cpu_nanos, memory_bytes)
SELECT 1, 'container', number::text, '/examplelimit/', number, 10000000 FROM generate_series({first}, {last}) AS number;
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT tgname FROM pg_trigger WHERE tgrelid = 'runtime_catalog.runtime'::regclass AND NOT tgisinternal LOOP
        EXECUTE format('ALTER TABLE runtime_catalog.runtime ENABLE ALWAYS TRIGGER %I', name);
    END LOOP;
END $$;
SELECT runtime_catalog.forget();
COMMIT;
"""


def seconds_of(action):
    started = time.monotonic()
    action()
    return time.monotonic() - started


def start_ms(worker, token):
    """From the start of the process to its first answer; the worker runs before and after."""
    def first_answer():
        answer = ask_directly(worker.socket, "GET", CONTAINER + "1", token)
        if not answer.startswith(b"Status: 200"):
            raise RuntimeError(answer.decode())

    def once():
        worker.stop()
        return seconds_of(lambda: (worker.start(), first_answer())) * 1000
    return statistics.median(once() for _ in range(STARTS))


def memory(bench):
    """Fresh, and when every one of some runtimes was listed and read."""
    worker = bench.site.worker("memory")
    ask_directly(worker.socket, "GET", CONTAINER + "1", bench.site.token)
    print("\nmemory")
    bench.results.add(measured("memory, idle", "MB", resident_mb(worker.pid)))
    ask_directly(worker.socket, "LIST", LIST.path, bench.site.token)
    for number in range(1, RUNTIMES + 1):
        ask_directly(worker.socket, "GET", f"{CONTAINER}{number}", bench.site.token)
    bench.results.add(measured(f"memory, {RUNTIMES:,} runtimes", "MB", resident_mb(worker.pid)),
                      measured(f"start, {RUNTIMES:,} runtimes", "ms", start_ms(worker, bench.site.token)))
    worker.stop()


def wakeups(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt_switches"))
    return total


def idle(bench):
    """Some time after the last request: threads that woke up, and sessions that were asked something."""
    side = bench.ours()
    bench.load(side, READ, CLIENTS, seconds=1)()
    time.sleep(IDLE_SECONDS)
    asked = ("SELECT count(*) FROM pg_stat_activity WHERE usename = 'runtime_catalog_worker'"
             f" AND greatest(query_start, backend_start) > clock_timestamp() - interval '{IDLE_SECONDS} s'")
    before = wakeups(side.server.pid)
    time.sleep(IDLE_SECONDS)
    woken = wakeups(side.server.pid) - before
    print(f"\nidle for {IDLE_SECONDS} s")
    bench.results.add(measured("idle: wake-ups a second", "", woken / IDLE_SECONDS),
                      measured("idle: queries", "", int(bench.site.cluster.sql(asked))))


class Growing:
    """A database that grows, and a worker on it."""

    def __init__(self, bench, name):
        self.bench = bench
        self.name = name
        self.size = 0
        self.sql(f"CREATE DATABASE {name} TEMPLATE {EMPTY}", "postgres")
        self.sql(NEIGHBOURS)

    def sql(self, text, database=None):
        done = self.bench.site.cluster.psql("-c", text, database=database or self.name, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)

    def grow(self, size):
        self.sql(LOAD.format(first=self.size + 1, last=size))
        self.sql("VACUUM ANALYZE")
        self.size = size

    @property
    def side(self):
        """Its worker is another process after each start_ms()."""
        side = self.bench.ours(self.name, cache=ALL_BYTES, database=self.name)
        side.programs["worker"] = side.server.pid
        return side

    def reads(self):
        return Requests(CONTAINER + "%d", keys=self.size, token="hvs.Bench%024d", tokens=TOKENS_USED)

    def read(self):
        return self.bench.load(self.side, self.reads(), CLIENTS)()

    def list_ms(self):
        """Of one client, over and over for a while."""
        sample = self.bench.load(self.side, LIST, 1, seconds=2 + self.size // 100000)()
        if sample.errors:
            raise RuntimeError(f"a list of {self.size:,} failed")
        return sample.p50


def scale(bench):
    least, most = SIZES[0], SIZES[-1]
    small, big = Growing(bench, "small"), Growing(bench, "big")
    small.grow(least)
    curves = {"list, ms": [], "read, ms": [], "start, ms": [], "resident, MB": []}
    for size in SIZES:
        filled = seconds_of(lambda size=size: big.grow(size))
        print(f"\n{size:,} runtimes, filled up in {filled:.1f} s")
        started = start_ms(big.side.server, bench.site.token)
        listed = big.list_ms()
        small.list_ms()
        big.read() # the tokens are remembered, too
        samples = in_turn(ROUNDS, {f"{least:,} runtimes": small.read, f"{size:,} runtimes ": big.read})
        resident = resident_mb(big.side.server.pid)
        show(f"read, {CLIENTS} clients, {TOKENS_USED:,} of {TOKENS:,} tokens", samples)
        here, there = samples[f"{size:,} runtimes "], samples[f"{least:,} runtimes"]
        bench.results.add(compared(f"scale: read at {size:,} runtimes", "requests/s", here, there),
                          measured(f"scale: list of {size:,} runtimes", "ms", listed),
                          measured(f"memory, {size:,} runtimes and {TOKENS_USED:,} tokens", "MB", resident),
                          measured(f"start, {size:,} runtimes", "ms", started))
        for curve, value in zip(curves.values(), (listed, CLIENTS / median(here) * 1000, started, resident)):
            curve.append((size, value))
        if size == most:
            lists, residents = dict(curves["list, ms"]), dict(curves["resident, MB"])
            bench.results.add(
                measured("scale: list, time a runtime, to that of 10,000", "times", lists[most] / lists[10000] / (most / 10000)),
                measured("scale: memory a runtime", "bytes", (residents[most] - residents[least]) * 1024 ** 2 / (most - least)))
    bench.results.picture(plot("runtimes", curves))
