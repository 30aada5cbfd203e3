"""The bars, the rows that are measured against them, and how both are shown and kept."""
import dataclasses
import datetime
import json
import statistics

from load import cpu, median, spread

# A name that begins with one of these, the longest, has its bar: the least ratio to the limit, or
# the most that may be measured. "spread": what lies within the limit's own spread will do, too.
AT_LEAST, AT_MOST = "at least", "at most"
BARS = {
    "read":                        (AT_LEAST, 0.95, "spread"),
    "cold":                        (AT_LEAST, 0.40),
    "list":                        (AT_LEAST, 0.90),
    "write, 1 client":             (AT_LEAST, 0.55),
    "write, 8 clients":            (AT_LEAST, 0.65),
    "write, 32 clients":           (AT_LEAST, 0.60),
    "history":                     (AT_LEAST, 0.55),
    "scale: read":                 (AT_LEAST, 0.95, "spread"),
    "scale: list, time a runtime": (AT_MOST, 1.5),
    "policy":                      (AT_MOST, 1.0),
    "memory, idle":                (AT_MOST, 12),
    "memory, 10,000 runtimes":     (AT_MOST, 25),
    "memory, 1,000,000 runtimes":  (AT_MOST, 700),
    "start":                       (AT_MOST, 100),
    "storm":                       (AT_LEAST, 0.80, "spread"),
    "idle: queries":               (AT_MOST, 0),
    "idle: wake-ups":              (AT_MOST, 1),
    "fair: p99":                   (AT_MOST, 20),
    "fair: clients that starved":  (AT_MOST, 0),
}
PROGRAMS = ("nginx", "worker", "PostgreSQL")
BUSY = 0.05 # of the machine; more, and the row says that others were at work


def bar_of(name):
    found = [start for start in BARS if name.startswith(start)]
    return BARS[max(found, key=len)] if found else None


@dataclasses.dataclass
class Row:
    name: str
    unit: str
    ours: float
    limit: float = None
    ratio: float = None
    bar: float = None
    met: bool = None
    spread: dict = None
    others: float = None  # share of the machine that others used meanwhile
    time: str = None

    def judge(self):
        """Fills in bar and met."""
        self.time = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        found = bar_of(self.name)
        if not found:
            return self
        kind, self.bar, *more = found
        if kind == AT_MOST:
            self.met = self.ours <= self.bar
        elif self.ratio is not None:
            self.met = self.ratio >= self.bar or bool(more and self.spread and self.ours >= self.spread["limit"][0])
        return self

    def __str__(self):
        bar = "" if self.bar is None else f"{'≥' if bar_of(self.name)[0] == AT_LEAST else '≤'} {self.bar:g}"
        verdict = "" if self.met is None else "met" if self.met else "MISSED"
        value = f"{self.ours:,.{0 if self.ours >= 100 else 2}f} {self.unit}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f} of the limit"
        return f"  {self.name:44} {value:>22}  {ratio:18} {bar:8} {verdict}"


def measured(name, unit, value, **more):
    return Row(name, unit, value, **more).judge()


def compared(name, unit, ours, limit):
    """Two sides that ran in turn: the ratio is the median of the rounds' own. An answer that failed
    takes the row's verdict with it."""
    ratios = [a.rate / b.rate for a, b in zip(ours, limit)]
    row = Row(name, unit, median(ours), median(limit), statistics.median(ratios),
              spread={"ours": spread(ours), "limit": spread(limit), "ratio": (min(ratios), max(ratios))},
              others=max(sample.others for sample in [*ours, *limit])).judge()
    if any(sample.errors for sample in [*ours, *limit]):
        print(f"  {name}: answers failed: {[sample.errors for sample in ours]}, limit {[sample.errors for sample in limit]}")
        row.met = False if row.bar is not None else None
    return row


def costed(name, program, ours, limit):
    """The same of what a request costs a program."""
    ratios = [a.cpu[program] / b.cpu[program] for a, b in zip(ours, limit)]
    return Row(name, "µs", cpu(ours, program), cpu(limit, program), statistics.median(ratios), spread={"ratio": (min(ratios), max(ratios))},
               others=max(sample.others for sample in [*ours, *limit])).judge()


def number(value, digits=0):
    return "" if value is None else f"{value:,.{digits}f}"


def show(title, samples):
    """A table: a line a load."""
    others = max(sample.others for one in samples.values() for sample in one)
    busy = f"   (others used up to {others:.0%} of the machine)" if others > BUSY else ""
    print(f"\n{title}{busy}")
    print(f"  {'':24} {'a second':>12} {'from':>10} {'to':>10} {'p50 ms':>8} {'p99 ms':>8} {'p99.9':>8}  "
          + "".join(f"{name + ' µs':>15}" for name in PROGRAMS))
    for name, one in samples.items():
        low, high = spread(one)
        print(f"  {name:24} {number(median(one)):>12} {number(low):>10} {number(high):>10} "
              f"{number(median(one, 'p50'), 2):>8} {number(median(one, 'p99'), 2):>8} {number(median(one, 'p999'), 2):>8}  "
              + "".join(f"{number(cpu(one, program), 1):>15}" for program in PROGRAMS), flush=True)


class Results:
    """The rows of this run and, of those that it does not have, of runs before. The files are opened
    at once, by whoever starts the benchmarks: who runs them may not be able to."""

    def __init__(self, folder):
        self.file = open(folder / "latest.json", "a+", encoding="utf-8")
        self.svg = open(folder / "scale.svg", "a", encoding="utf-8")
        self.rows = {}
        self.file.seek(0)
        text = self.file.read()
        self.old = {row["name"]: row for row in json.loads(text)} if text.strip() else {}

    def add(self, *rows):
        for row in rows:
            self.rows[row.name] = row
            print(row, flush=True)
        self.write()

    def write(self):
        merged = {**self.old, **{name: dataclasses.asdict(row) for name, row in self.rows.items()}}
        self.file.seek(0)
        self.file.truncate()
        json.dump(list(merged.values()), self.file, indent=1, ensure_ascii=False)
        self.file.write("\n")
        self.file.flush()

    def picture(self, svg):
        self.svg.truncate(0)
        self.svg.write(svg)
        self.svg.flush()

    def summary(self):
        judged = [row for row in self.rows.values() if row.met is not None]
        print(f"\n{'All rows of this run':46} {'ours':>22}  {'ratio':18} bar")
        for row in self.rows.values():
            print(row)
        met = sum(row.met for row in judged)
        print(f"\n{met} of {len(judged)} bars met")
