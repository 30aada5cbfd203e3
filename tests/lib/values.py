"""Field × kind of value: what bodies are made of."""
import itertools
import json

from coercion import FIELDS

IGNORED = ["type", "name", "note"] # the path decides about the first two, nobody knows the third
LARGEST = 2**63 - 1


def texts_of_numbers():
    """Signs × spellings × magnitudes."""
    spellings = ["{0}", "{0:_}", "0{0:o}", "0o{0:o}", "0O_{0:o}", "0x{0:x}", "0X{0:X}", "0x_{0:_x}", "0b{0:b}",
                 "0B{0:_b}", "000000000000000000000000000000000000000000000{0:o}"]
    for sign, spelling, magnitude in itertools.product(["", "+", "-"], spellings,
                                                       [0, 1, 4096, LARGEST, LARGEST + 1, LARGEST + 2]):
        yield sign + spelling.format(magnitude)


# Texts that JSON has no trouble with.
TEXTS = [
    "", " ", "abc", "runc", "null", "[]", "{}", "a b", "/cgroup/", "%s%n", "'; DROP TABLE runtime; --",
    # no integers
    "+", "-", "--5", "+-5", " 5", "5 ", "5\n", "1.0", "1.5", "1e3", "5.", ".5", "_5", "5_", "1__0", "0x", "0b", "0o",
    "0x_", "0x__1", "0_", "0_7", "08", "0o8", "0b2", "0xg", "0d1", "1,000", "1 000", "\u0663", "\uff15", "5h", "NaN",
    "Infinity", "18446744073709551617", "1" * 400, "0" * 4000 + "1",
    # booleans and what is none
    "t", "T", "TRUE", "true", "True", "f", "F", "FALSE", "false", "False", "tRUE", "true ", "yes", "no", "on", "off",
    "y", "n", "01", "2",
    # all sorts of characters
    "".join(map(chr, range(1, 32))), "\x7f\x80\x9f", "<script>&amp;</script>", "\u2028\u2029", "\"\\/", "ümläut",
    "e\u0301", "\u202e", "\ufeff", "\ufffd", "\ufffe\uffff", "\U0001f600", "\U0001f468\u200d\U0001f469", "\U0010ffff",
    # lengths in bytes
    "x" * 4096, "x" * 4097, "ü" * 2048, "ü" * 2048 + "x", "\U0001f600" * 1024, "\U0001f600" * 1024 + "x",
    "\n" * 4096, "\n" * 4097, *texts_of_numbers(),
]

# Values as they stand in a body.
RAW = [
    "null", "true", "false", "0", "1", "-0", "-1", "2", "4711", "-9223372036854775808", "-9223372036854775809",
    "9223372036854775807", "9223372036854775808", "18446744073709551616", "1" + "0" * 30, "-1" + "0" * 400,
    "0.0", "1.0", "-1.0", "1.5", "1e3", "1E0", "0e0", "1e-3", "1e+2", "9.2e18", "1e308", "1e309", "-1e999", "1e-999",
    "[]", "[1]", "[true]", "[null]", '["runsc"]', "[[[]]]", "{}", '{"a": 1}', '{"a": {"b": [null, "c"]}}',
    '{"cpu_nanos": 7}',
    # other spellings of strings
    r'"\u0061\/\b\f\n\r\t\"\\"', r'"\u00e9\u00E9"', r'"\ud83d\ude00"', r'"\u0031"', r'"\u0074rue"',
    # no text
    r'"\u0000"', r'"a\u0000b"', r'"\ud800"', r'"\udc00"', r'"\ud800x"', r'"\ud800\u0041"', r'"\udc00\ud800"',
    r'"\ud83d\ud83d\ude00"',
    # no JSON
    "", "tru", "True", "nul", "NaN", "Infinity", "-Infinity", "-", "+1", "01", "-01", "1.", ".5", "1e", "0x10", "1_000",
    "'a'", '"', '"\\x41"', '"\\u12"', '"\t"', '"\n"', "[1", "[1,]", '{"a"}', '{"a": 1,}', '{"a": 1, "a": 1}', "1 2",
]
BYTES = [b'"\0"', b'"\xff"', b'"\xc3\x28"', b'"\xc3"', b'"\xc0\x80"', b'"\xe0\x80\x80"', b'"\xed\xa0\x80"',
         b'"\xf4\x90\x80\x80"', b'"\xe2\x82"', b'"\xf8\x88\x80\x80\x80"', b"\xff", b"\0"]
ABSENT = None

VALUES = [ABSENT, *(text.encode() for text in RAW), *BYTES,
          *(json.dumps(text, ensure_ascii=bool(index % 2)).encode() for index, text in enumerate(dict.fromkeys(TEXTS)))]
TABLE = list(itertools.product([*FIELDS, *IGNORED], VALUES))


def body_of(field, value, number, first):
    """An object with the field, and another one that tells this write from all others."""
    companion = "cpu_nanos" if field == "memory_bytes" else "memory_bytes"
    members = [b'"%s": %d' % (companion.encode(), number)]
    if value is not ABSENT:
        members.insert(0 if first else 1, b'"%s": %s' % (field.encode(), value))
    return b"{" + b", ".join(members) + b"}"
