"""Texts in HCL and JSON, most of them valid, and mutations of them: the same for the same seed."""
import json
import random

NAMES = ["a", "b", "path", "capabilities", "x-y", "a.b", "_", "k1", "true1", "é", "日本", "ключ",
         '"a"', '"b"', '"a b"', '""', '"é"', '"${a}"']
ODD_NAMES = ["0a", "-a", ".a", "a\N{COMBINING ACUTE ACCENT}", "\N{ARABIC-INDIC DIGIT THREE}",
             "a\N{ROMAN NUMERAL ONE}", "“a”", "a\N{NO-BREAK SPACE}", "\ufeffa", "true", "a\ufffd",
             "\ue123", '"\\u0061"']
NUMBERS = ["0", "1", "-1", "42", "007", "-017", "0x1F", "-0Xff", "1.5", "-0.25", "00.5", "08.5",
           "1.", "-1.", ".5", "1e3", "1E+3", "1.5e-3", "0e5", "1.e2", "9223372036854775807",
           "-9223372036854775808", "1e-400", "-0", "-0.0", "0.1"]
ODD_NUMBERS = ["08", "09.x", "0x", "0xg", "1e", "1e+", "1.5e", ".5e3", ".", "-", "--1", "-.5", "+1",
               "9223372036854775808", "-9223372036854775809", "1e400", "1.2.3", "0x1.8", "0b1",
               "1_000", "089", "0128", "1a", "1.end", "0x1e3", "0xe+1"]
ESCAPES = ["\\n", "\\t", '\\"', "\\\\", "\\a", "\\b", "\\f", "\\r", "\\v", "\\x41", "\\x7f", "\\101",
           "\\007", "\\u00e9", "\\u20AC", "\\U0001F600", "\\xc3\\xa9", "\\303\\251"]
ODD_ESCAPES = ["\\'", "\\/", "\\q", "\\x4", "\\xzz", "\\08", "\\400", "\\777", "\\0", "\\000",
               "\\x00", "\\u00", "\\u0000", "\\ud800", "\\ud83d\\ude00", "\\U00110000", "\\UFFFFFFFF",
               "\\xff", "\\377", "\\", "\\\n"]
PLAIN = ["", "a", "secret/*", "+/x", "é", "€", "😀", "#", "//", "{", "}", "$", "$$", "'", "a b", "\t",
         "[", "read", "\x7f", "\r"]
INTERPOLATIONS = ["${a}", "${a \"b\" }", "${\n}", "${{}}", "${a{b}c}", "${\\n}", "$${a}", "${${}}",
                  "${\\x41\\u0041}", "${#}", "${}"]
ODD_INTERPOLATIONS = ["${", "${a", "${\\q}", "${\\000}", "${\\ud800}", "${\\777}", "${\ufffd}", "${\x00}",
                      "${}}", "${{}", "${\\U00110000}"]
BLANKS = ["", "", "", " ", "\n", "  ", "\t", "\r\n", "\n\n", " # c\n", "// c\n", "/* c */", "/**/",
          "/* \n* */", "#\n"]
ODD_BLANKS = ["/", "/*", "/*/", "#", "\v", "\f", "\r", "\x00", "\x85", "\xa0", "\ufeff", ";"]
INDENTATIONS = ["", " ", "  ", "\t", "    "]
ODD_INDENTATIONS = ["\v", "\f\v", " \r", "\r"]
ANCHORS = ["EOT", "E", "é", "_1", "EOF"]
FRAGMENTS = ["{", "}", "[", "]", ",", "=", ":", '"', "\\", "<<", "<<-", "EOT", "\n", "\r\n", "${", "#",
             "/*", "*/", "0x", ".", "-", "+", "null", "true", "{}", "[]", "= {", "= [", "a =", "} }",
             "a = 1 a = 2", "\x00", "\ufeff", "\ue123", "\ufffd"]


class Generator:
    """Texts; `oddity` is how often a piece is one that is perhaps refused."""

    def __init__(self, seed, oddity=0.004):
        self.random = random.Random(seed)
        self.oddity = oddity

    def pick(self, usual, odd=()):
        if odd and self.random.random() < self.oddity:
            return self.random.choice(odd)
        return self.random.choice(usual)

    def chance(self, part):
        return self.random.random() < part

    def blank(self):
        return self.pick(BLANKS, ODD_BLANKS)

    def gap(self):
        """A blank that is not empty."""
        return self.pick([" ", "\n", "\t", " # c\n", "/* c */"])

    def string(self):
        pieces = [self.pick(PLAIN, ODD_BLANKS) if self.chance(.6) else
                  self.pick(ESCAPES, ODD_ESCAPES) if self.chance(.7) else
                  self.pick(INTERPOLATIONS, ODD_INTERPOLATIONS)
                  for _ in range(self.random.randrange(5))]
        return '"' + "".join(pieces) + '"'

    def heredoc(self):
        anchor, indented = self.pick(ANCHORS), self.chance(.5)
        indentation = self.pick(INDENTATIONS[1:] if indented else INDENTATIONS, ODD_INDENTATIONS)
        lines = [(indentation if self.chance(.85) else self.pick(INDENTATIONS))
                 + self.pick(["", "a", " b", "é", anchor + "x", "x" + anchor, '"', "${a}", "\\n", "# c"])
                 for _ in range(self.random.randrange(4))]
        end = self.pick(["\n", "\n", "\n", "\r\n"], ["", "\r\r\n", " \n", "\r"])
        start = self.pick(["\n", "\n", "\r\n"], [" \n", "\r\r\n", "", "-\n"])
        return ("<<" + "-" * indented + anchor + start + "".join(line + "\n" for line in lines)
                + indentation + anchor + end)

    def list(self, depth):
        pieces = []
        for _ in range(self.random.randrange(4)):
            pieces += [self.blank(), self.value(depth - 1), self.blank(),
                       self.pick([",", ",", ",", ",,"], ["", ";"])]
        if pieces and self.chance(.5):
            pieces.pop()
        return "[" + "".join(pieces) + self.blank() + "]"

    def value(self, depth):
        kind = self.random.random()
        if depth > 0 and kind < .15:
            return "{" + self.items(depth - 1) + "}"
        if depth > 0 and kind < .35:
            return self.list(depth)
        if kind < .65:
            return self.string()
        if kind < .85:
            return self.pick(NUMBERS, ODD_NUMBERS)
        if kind < .93:
            return self.pick(["true", "false"], ["null", "True", "a", "${a}"])
        return self.heredoc()

    def name(self):
        return self.pick(NAMES, ODD_NAMES) if self.chance(.3) else "k%d" % self.random.randrange(1000)

    def item(self, depth):
        if depth > 0 and self.chance(.4):
            keys = [self.name() for _ in range(1 + self.random.randrange(3))]
            return self.gap().join(keys) + self.blank() + "{" + self.items(depth - 1) + "}"
        return self.name() + self.blank() + "=" + self.blank() + self.value(depth)

    def items(self, depth):
        pieces = [self.blank()]
        for _ in range(self.random.randrange(4)):
            pieces += [self.item(depth), self.pick(["\n", "\n", "\r\n", ",", " "], [";", ",,", ""]),
                       self.blank()]
        return "".join(pieces)

    def hcl(self):
        return self.items(3)

    # JSON

    def json_string(self):
        return "".join(self.pick(PLAIN + ["${a}", "${", "\n", "\\"], ["\ue123", "\x00", "\x1f"])
                       for _ in range(self.random.randrange(4)))

    def json_value(self, depth):
        kind = self.random.random()
        if depth > 0 and kind < .45:
            return self.json_object(depth - 1)
        if depth > 0 and kind < .65:
            if self.chance(.5):
                return [self.json_object(depth - 1) for _ in range(self.random.randrange(3))]
            return [self.json_scalar() for _ in range(self.random.randrange(4))]
        if kind < .68:
            return self.pick([None, [], {}, [None], [True], [[1]]])
        return self.json_scalar()

    def json_scalar(self):
        return self.pick([self.json_string(), 1, -5, 0, 2.5, 1e300, 1e-7, 2 ** 63 - 1, -2 ** 63],
                         [2 ** 63, True, False, None])

    def json_object(self, depth):
        return {self.pick(["a", "b", "path", "é", "", self.json_string()]): self.json_value(depth)
                for _ in range(self.random.randrange(4))}

    def json(self):
        text = json.dumps(self.json_object(4), ensure_ascii=self.chance(.3),
                          indent=self.random.choice([None, None, 1]))
        return self.pick(["", "", " ", "\n"], ["\ufeff", "\v"]) + text + self.pick(["", "\n"], ["x"])

    # both

    def mutated(self, text, other):
        for _ in range(1 + self.random.randrange(3)):
            at = self.random.randrange(len(text) + 1)
            size = min(self.random.choice([1, 1, 1, 2, 5, 20]), len(text) - at)
            kind = self.random.randrange(5)
            if kind == 0:
                text = text[:at] + text[at + size:]
            elif kind == 1:
                text = text[:at] + self.random.choice(FRAGMENTS) + text[at:]
            elif kind == 2:
                text = text[:at] + self.random.choice(FRAGMENTS) + text[at + size:]
            elif kind == 3:
                text = text[:at] + text[at:at + size] + text[at:]
            else:
                text = text[:at] + other[self.random.randrange(len(other) + 1):]
        return text

    def texts(self, count):
        """`count` texts, in bytes: half of them as generated, half mutated."""
        last = ""
        for number in range(count):
            text = self.json() if number % 4 == 3 else self.hcl()
            if number % 8 >= 4:
                text, last = self.mutated(text, last), text
            data = text.encode("utf-8", "surrogatepass")
            if self.chance(.002):
                at = self.random.randrange(len(data) + 1)
                data = data[:at] + self.random.randbytes(1) + data[at:]
            yield data
