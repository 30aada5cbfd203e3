"""What a write of a runtime must lead to, told from the body alone: an oracle that shares nothing
with the worker. Grammars are regular expressions here, numbers are Python's, JSON is Python's.

    outcome(b'{"cpu_nanos": "0x10"}')  →  ({"cpu_nanos": 16, …}, None)
    outcome(b'{"cpu_nanos": "ten"}')   →  (None, "^cpu_nanos: must be an integer of 64 bits$")
"""
import json
import math
import re

DEFAULTS = {"cgroup_parent": "", "cpu_nanos": 0, "memory_bytes": 0, "oci_runtime": "runsc", "rootless": False}
TEXT_BYTES = 4096
BLANKS = b" \t\r\n"

# Go's integer literals, each as its base and its digits.
LITERALS = [(16, r"0[xX]((?:_?[0-9a-fA-F])+)"), (8, r"0[oO]((?:_?[0-7])+)"), (2, r"0[bB]((?:_?[01])+)"),
            (8, r"(0(?:_?[0-7])*)"), (10, r"([1-9](?:_?[0-9])*)")]
WORDS = dict.fromkeys(["1", "t", "T", "TRUE", "true", "True"], True)
WORDS |= dict.fromkeys(["", "0", "f", "F", "FALSE", "false", "False"], False)


class Refused(Exception):
    """Its argument is a pattern for the one error text."""


class Number(str):
    """A JSON number as it was written."""


def fits(number):
    return -2**63 <= number < 2**63


def literal(text):
    """The value of an integer literal with an optional sign, or None."""
    sign, rest = (-1 if text.startswith("-") else 1), re.sub(r"^[+-]", "", text)
    for base, pattern in LITERALS:
        if match := re.fullmatch(pattern, rest, re.A):
            return sign * int(match[1].replace("_", ""), base)
    return None


# --- what each type makes of a value

def text_of(value):
    if isinstance(value, bool):
        return "1" if value else "0"
    if value is None:
        return ""
    if isinstance(value, Number) or not isinstance(value, str):
        raise Refused("must be a string")
    if len(value.encode()) > TEXT_BYTES:
        raise Refused("4096 bytes at most")
    return value


def integer_of(value):
    if value is None or isinstance(value, bool):
        return int(value or 0)
    number = literal(value or "0") if isinstance(value, str) else None
    if number is None or not fits(number):
        raise Refused("must be an integer of 64 bits")
    return number


def boolean_of(value):
    if value is None or isinstance(value, bool):
        return bool(value)
    if value == "-0" and isinstance(value, Number): # its sign is lost on the way
        return False
    if not isinstance(value, str) or value not in WORDS:
        raise Refused("must be true or false")
    return WORDS[value]


# In the order in which the worker looks at them.
FIELDS = {"oci_runtime": text_of, "cgroup_parent": text_of, "cpu_nanos": integer_of,
          "memory_bytes": integer_of, "rootless": boolean_of}
NEGATIVE = {"cpu_nanos": "runtime cpu in nanos cannot be negative",
            "memory_bytes": "runtime memory in bytes cannot be negative"}


def record_of(members):
    record = dict(DEFAULTS)
    for field, coerce in FIELDS.items():
        try:
            record[field] = coerce(members.get(field))
        except Refused as refusal:
            raise Refused(f"^{field}: {refusal}$") from None
    for field, text in NEGATIVE.items():
        if record[field] < 0:
            raise Refused(f"^{text}$")
    record["oci_runtime"] = record["oci_runtime"] or DEFAULTS["oci_runtime"]
    return record


# --- JSON

def parse_integer(text):
    if len(text) > 20 or not fits(int(text)):
        raise ValueError("64 bits")
    return Number(text)


def parse_real(text):
    if math.isinf(float(text)):
        raise ValueError("64 bits")
    return Number(text)


def parse_word(word):
    raise ValueError(word) # NaN and Infinity, which are Python's alone


def check_text(text):
    text.encode() # no half of a surrogate pair
    if "\0" in text:
        raise ValueError("U+0000")


def check_texts(value):
    if isinstance(value, str):
        check_text(value)
    for item in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        check_texts(item)


def parse_object(pairs):
    if len(dict(pairs)) < len(pairs):
        raise ValueError("given twice")
    for key, _ in pairs:
        check_text(key)
    return dict(pairs)


def parse(body):
    """A JSON value; ValueError: it is none, or one that is refused wherever it stands."""
    value = json.loads(body.decode(), parse_int=parse_integer, parse_float=parse_real, parse_constant=parse_word,
                       object_pairs_hook=parse_object)
    check_texts(value)
    return value


def outcome(body):
    """(what is stored, None), or (None, a pattern for the one error text)."""
    try:
        value = parse(body) if body.strip(BLANKS) else None
    except ValueError:
        return None, r"^failed to parse JSON: line \d+, column \d+: [a-zA-Z0-9+ -]+$"
    if value is not None and not isinstance(value, dict):
        return None, "^failed to parse JSON: must be an object$"
    try:
        return record_of(value or {}), None
    except Refused as refusal:
        return None, str(refusal)
