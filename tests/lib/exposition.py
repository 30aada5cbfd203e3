"""The text format 0.0.4 of Prometheus, read as strictly as it is written down: whoever relies on what
a lenient reader lets pass finds out here."""
import collections
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
NUMBER = re.compile(r"[+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf)|NaN")
# What may stand behind a name, by type.
SUFFIXES = {"counter": ("",), "gauge": ("",), "summary": ("_sum", "_count"), "histogram": ("_bucket", "_sum", "_count")}

# samples: {(suffix, labels): number}; labels: (name, value) in order, without a bucket's bound; bounds
# stand behind the suffix: ("_bucket", "0.5").
Family = collections.namedtuple("Family", "kind help samples")


def labels_of(text):
    found = tuple(LABEL.findall(text))
    if ",".join(f'{name}="{value}"' for name, value in found) != text or len({name for name, _ in found}) != len(found):
        raise ValueError(f"labels: {text}")
    return found


def add(families, name, line):
    match = SAMPLE.fullmatch(line)
    if not match or not NUMBER.fullmatch(match[3]):
        raise ValueError(f"no sample: {line}")
    family = families[name]
    labels, suffix = labels_of(match[2] or ""), match[1][len(name):]
    if not match[1].startswith(name) or suffix not in SUFFIXES[family.kind]:
        raise ValueError(f"not of {name}: {line}")
    key = suffix
    if suffix == "_bucket":
        key, labels = ("_bucket", dict(labels)["le"]), tuple(label for label in labels if label[0] != "le")
    if (key, labels) in family.samples:
        raise ValueError(f"twice: {line}")
    family.samples[key, labels] = float(match[3])


def check_histogram(name, family):
    """Buckets that grow, up to one that has them all."""
    for labels in {labels for _, labels in family.samples}:
        bounds = [(float(key[1]), number) for (key, own), number in family.samples.items() if own == labels and isinstance(key, tuple)]
        numbers = [number for _, number in bounds]
        if bounds != sorted(bounds) or numbers != sorted(numbers) or bounds[-1] != (float("inf"), family.samples["_count", labels]):
            raise ValueError(f"buckets of {name} {labels}: {bounds}")


def parse(text):
    """{name: Family}, in order. Every family has its help and its type, in this order and once, then its
    samples, at least one, and nothing of another in between."""
    if not text.endswith("\n"):
        raise ValueError("the last line has no end")
    families, name, helped = {}, None, None
    for line in text[:-1].split("\n"):
        words = line.split(" ", 3)
        if line.startswith("# HELP "):
            if words[2] in families or len(words) != 4 or re.search(r"\\[^\\n]", words[3]):
                raise ValueError(line)
            helped = words[2:]
        elif line.startswith("# TYPE "):
            if not helped or helped[0] != words[2] or not re.fullmatch(NAME, words[2]) or words[3] not in SUFFIXES:
                raise ValueError(line)
            name = words[2]
            families[name] = Family(words[3], helped[1], {})
            helped = None
        elif helped or name is None:
            raise ValueError(f"a sample without a type: {line}")
        else:
            add(families, name, line)
    for name, family in families.items():
        if not family.samples:
            raise ValueError(f"{name} has no sample")
        if family.kind == "histogram":
            check_histogram(name, family)
    return families
