#!/usr/bin/python3
"""Every body: blank, malformed at every place, beyond each limit, as a form, in chunks, with a wrong
length, on methods that take none. What is refused is told with its place and changes nothing."""
import itertools
import json
import re
import socket
import sys

sys.path.append(sys.path[0] + "/../lib")
from cluster import lines_of  # noqa: E402
from coercion import DEFAULTS, outcome, record_of  # noqa: E402
from harness import BAD_TOKEN, CATALOG, CONTAINER, stack  # noqa: E402
from processes import wait_for  # noqa: E402
from runtime import Runtime  # noqa: E402

MIB = 1024 * 1024
PLACE = r"^failed to parse JSON: line (\d+), column (\d+): "
FORM = "application/x-www-form-urlencoded"

# What is said of each comes from the oracle.
BODIES = {
    "no body": None, "an empty body": b"", "a space": b" ", "a tab": b"\t", "a carriage return": b"\r",
    "a newline": b"\n", "many blanks": b" \t\r\n" * 5000,
    "a vertical tab": b"\v", "a form feed": b"\f", "a NUL": b"\0", "a unit separator": b"\x1f",
    "a no-break space": "\u00a0".encode(), "a next line": "\u0085".encode(), "a line separator": "\u2028".encode(),
    "an ideographic space": "\u3000".encode(), "a byte order mark": "\ufeff".encode(),
    "a byte order mark before an object": "\ufeff{}".encode(), "UTF-16": "{}".encode("utf-16"),
    "a no-break space before an object": "\u00a0{}".encode(), "a NUL before an object": b"\0{}",
    "blanks around an object": b' \t\r\n{\n"cpu_nanos"\t:\r4711 }\n\n',
    "null": b"null", "null among blanks": b"\n null \n", "an empty object": b"{}",
    **{f"no object: {value}": value.encode() for value in
       ("[]", "[{}]", "[null]", '""', '"text"', '"{}"', "0", "5", "-1.5e3", "true", "false", "nul", "nullx", "hello", "{}{}")},
    "a key twice": b'{"cpu_nanos": 1, "cpu_nanos": 2}', "a key twice, the same": b'{"rootless": true, "rootless": true}',
    "a key thrice": b'{"note": 1, "note": 2, "note": 3}', "a key twice, escaped": rb'{"note": 1, "n\u006fte": 2}',
    "a key twice, both escaped": rb'{"\u006eote": 1, "\u006Eote": 2}', "the empty key twice": b'{"": 1, "": 2}',
    "a key twice, nested": b'{"note": {"a": 1, "a": 2}}', "a key twice, in a list": b'{"note": [[{"a": 1, "a": 2}]]}',
    "a key twice, one a null": b'{"cpu_nanos": null, "cpu_nanos": 2}',
    "a key twice, with a pair of surrogates": '{"\U0001f600": 1, "\\ud83d\\ude00": 2}'.encode(),
    "keys that differ in case": b'{"cpu_nanos": 1, "CPU_NANOS": 2, "Cpu_Nanos": 3}',
    "keys that look alike": '{"é": 1, "e\u0301": 2}'.encode(), "a key on two levels": b'{"note": {"note": {"note": 1}}}',
    "an escaped key": rb'{"cpu\u005fnanos": 4711}', "a key with a NUL": rb'{"cpu_nanos\u0000": 1}',
    "a key that is no text": b'{1: 2}', "a key with half a pair of surrogates": rb'{"\ud800": 1}',
    "comments": b'{"cpu_nanos": 1 /* one */}', "a comment at the end": b'{} // none',
}

# Truncated at every byte; with a stray byte at every place; with every byte at the end.
VALID = '{"cpu_nanos": 17,\n "oci_runtime": "r\\u00fcn\u00e9c",\r\n\t"note": [1.5e3, -2, true, {"a": ""}]}\n'.encode()
STRAYS = [bytes([byte]) for byte in b"}]{[,:\"\\0-+.ex/' \n\0\1\v\x7f\x80\xc3\xff"]


def nested(depth, opens, closes, core=""):
    return f'{{"note": {opens * (depth - 1)}{core}{closes * (depth - 1)}}}'.encode()


def listed(count):
    return f'{{"note": [{",".join(["0"] * count)}]}}'.encode()


def keyed(count):
    return json.dumps(dict.fromkeys(map(str, range(count)), 1)).encode()


def tokens(count):
    """An object with that many brackets, commas, colons and values."""
    rows, rest = divmod(count - 5, 5002) # a row: 2500 numbers, 2499 commas, two brackets and a comma
    rest = "1," * (rest // 2) if rest % 2 == 0 else "{}," + "1," * ((rest - 3) // 2)
    rows = ",".join(["[" + ",".join(["1"] * 2500) + "]"] * rows)
    return f'{{"note": [{rest}{rows}]}}'.encode()


STORED = DEFAULTS, None


def beyond(text):
    return None, PLACE + text + "$"


LIMITS = {
    "lists, 300 deep": (nested(300, "[", "]"), STORED),
    "lists, 301 deep": (nested(301, "[", "]"), beyond("nested too deeply")),
    "objects, 300 deep": (nested(300, '{"a":', "}", "1"), STORED),
    "objects, 301 deep": (nested(301, '{"a":', "}", "1"), beyond("nested too deeply")),
    "brackets in a text": (b'{"note": "' + b"[{" * 5000 + b'"}', STORED),
    "half a million brackets": (b"[" * 500000, beyond("nested too deeply")),
    "a list of 10000": (listed(10000), STORED),
    "a list of 10001": (listed(10001), beyond("too many entries in one object or list")),
    "an object of 10000": (keyed(10000), STORED),
    "an object of 10001": (keyed(10001), beyond("too many entries in one object or list")),
    "half a million tokens": (tokens(500000), STORED),
    "half a million tokens and one": (tokens(500001), beyond("too many values")),
    "a text that fills the body": (b'{"note":"' + b"x" * (MIB - 11) + b'"}', STORED),
    "a key that fills the body": (b'{"' + b"x" * (MIB - 6) + b'":1}', STORED),
    "blanks that fill the body": (b" " * MIB, STORED),
    "a fraction of a hundred thousand digits": (b'{"note":0.' + b"1" * 100000 + b"}", STORED),
    "an integer of a hundred thousand digits": (b'{"note":' + b"1" * 100000 + b"}",
                                                beyond("a number does not fit into 64 bits")),
}

# The members that a form amounts to, or the one error text.
FORMS = {
    "cpu_nanos=5&rootless=1": {"cpu_nanos": "5", "rootless": "1"},
    "cpu_nanos=0x10": {"cpu_nanos": "0x10"},
    "cpu_nanos=1.5": {"cpu_nanos": "1.5"},
    "cpu_nanos=-5": {"cpu_nanos": "-5"},
    "rootless=perhaps": {"rootless": "perhaps"},
    "cpu_nanos=&oci_runtime=": {},
    "cpu_nanos&oci_runtime": {},
    "cpu_nanos=1&cpu_nanos=2": {"cpu_nanos": "1,2"},
    "cgroup_parent=a&cgroup_parent=b&cgroup_parent=": {"cgroup_parent": "a,b,"},
    "cgroup_parent=a+b%20c%2Bd": {"cgroup_parent": "a b c+d"},
    "cgroup_parent=%3Db%26=c": {"cgroup_parent": "=b&=c"},
    "%63group_parent=a": {"cgroup_parent": "a"},
    "cgroup%5fparent=%2f%2F": {"cgroup_parent": "//"},
    "cgroup_parent=%C3%BC%F0%9F%98%80": {"cgroup_parent": "ü\U0001f600"},
    "cgroup_parent=ü": {"cgroup_parent": "ü"},
    "=x&&=y&": {},
    "type=docker&name=other&note=1": {},
    " cgroup_parent=a": {},
    "oci_runtime=null": {"oci_runtime": "null"},
    "null": {},
    "5": {},
    '"text"': {},
    "cgroup_parent=" + "x" * 4096: {"cgroup_parent": "x" * 4096},
    "cgroup_parent=" + "x" * 4097: {"cgroup_parent": "x" * 4097},
    "cgroup_parent=" + "x" * 2000 + "&cgroup_parent=" + "x" * 2096: {"cgroup_parent": "x" * 2000 + "," + "x" * 2096},
    # Joining them one by one would take minutes, and no token would be asked for.
    "&" * (MIB - 1): {},
    "a&" * (MIB // 2): {},
    "cgroup_parent&" * (MIB // 14): {"cgroup_parent": "," * (MIB // 14 - 1)},
    "cgroup_parent=%": "^form: a '%' must be followed by two hexadecimal digits, not 00$",
    "cgroup_parent=%4": "^form: a '%' must be followed by two hexadecimal digits, not 00$",
    "cgroup_parent=%zz": "^form: a '%' must be followed by two hexadecimal digits, not 00$",
    "%zz=a": "^form: a '%' must be followed by two hexadecimal digits, not 00$",
    "cgroup_parent=%00": "^form: a '%' must be followed by two hexadecimal digits, not 00$",
    "cgroup_parent=a\0": r"^form: U\+0000 is not allowed$",
    "cgroup_parent=%ff": "^form: not valid UTF-8$",
    "cgroup_parent=%ed%a0%80": "^form: not valid UTF-8$",
    "cpu_nanos=1;rootless=1": "^form: a ';' must be written %3B$",
    "cgroup_parent=a%3Bb": {"cgroup_parent": "a;b"},
}

# Is a body that could be a form one?
TYPES = {None: False, "": False, "application/json": False, "application/json; charset=utf-8": False, "text/plain": False,
         "application/octet-stream": False, "multipart/form-data; boundary=x": False, "nonsense": False,
         "application/merge-patch+json": False, FORM: True, FORM + ";charset=UTF-8": True, FORM + " ; charset=x": True,
         FORM.upper(): True, FORM + "ed": False, FORM + " x": False, "text/plain; " + FORM: False}

GOOD = b'{"cpu_nanos": 4711}'
CHUNKED = "Transfer-Encoding: chunked\r\n"
# Header lines, what follows them, and what it leads to: an outcome, or a status and an error text of nginx's.
LENGTHS = {
    "one chunk": (CHUNKED, b"13\r\n" + GOOD + b"\r\n0\r\n\r\n", outcome(GOOD)),
    "a chunk a byte": (CHUNKED, b"".join(b"1\r\n%c\r\n" % byte for byte in GOOD) + b"0\r\n\r\n", outcome(GOOD)),
    "a size with zeros in front": (CHUNKED, b"00013\r\n" + GOOD + b"\r\n000\r\n\r\n", outcome(GOOD)),
    "chunk extensions": (CHUNKED, b"13;a=b;c=\"d\"\r\n" + GOOD + b"\r\n0;e\r\n\r\n", outcome(GOOD)),
    "trailers": (CHUNKED, b"13\r\n" + GOOD + b"\r\n0\r\nX-Vault-Token: x\r\nContent-Length: 1\r\n\r\n", outcome(GOOD)),
    "no chunk": (CHUNKED, b"0\r\n\r\n", outcome(b"")),
    "chunks that make no JSON": (CHUNKED, b"5\r\n{\"cpu\r\n0\r\n\r\n", outcome(b'{"cpu')),
    "a size that is no number": (CHUNKED, b"xyz\r\n{}\r\n0\r\n\r\n", (400, "could not read")),
    "a negative size": (CHUNKED, b"-2\r\n{}\r\n0\r\n\r\n", (400, "could not read")),
    "a size beyond 64 bits": (CHUNKED, b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n", (400, "could not read")),
    "a chunk longer than its size": (CHUNKED, b"1\r\n{}\r\n0\r\n\r\n", (400, "could not read")),
    "a chunk of 2 MiB": (CHUNKED, b"200000\r\n" + GOOD, (413, "too large$")),
    "a right length": ("Content-Length: 19\r\n", GOOD, outcome(GOOD)),
    "a length with zeros in front": ("Content-Length: 00019\r\n", GOOD, outcome(GOOD)),
    "a length that is too short": ("Content-Length: 18\r\n", GOOD, outcome(GOOD[:18])),
    "a length of nothing": ("Content-Length: 0\r\n", GOOD, outcome(b"")),
    "a negative length": ("Content-Length: -1\r\n", GOOD, (400, "could not read")),
    "a length with a sign": ("Content-Length: +19\r\n", GOOD, (400, "could not read")),
    "a length that is no number": ("Content-Length: 19x\r\n", GOOD, (400, "could not read")),
    "a length in hexadecimal": ("Content-Length: 0x13\r\n", GOOD, (400, "could not read")),
    "a length beyond 64 bits": ("Content-Length: 18446744073709551635\r\n", GOOD, (400, "could not read")),
    "two lengths": ("Content-Length: 19\r\nContent-Length: 18\r\n", GOOD, (400, "could not read")),
    "a length of a terabyte": ("Content-Length: 1099511627776\r\n", GOOD, (413, "too large$")),
    "an Expect that does not wait": ("Content-Length: 19\r\nExpect: 100-continue\r\n", GOOD, outcome(GOOD)),
}

# On methods that take no body: it is ignored, unless it looks like JSON and is none.
IGNORED = [None, b"", b"{}", GOOD, b'{"cpu_nanos": "x"}', b"[1]", b"null", b"nul", b'"', b"hello", b"cpu_nanos=%zz", b"\xff"]
REFUSED = [b"{", b" \n[1", b'{"a": tru}', b'{"a": 1, "a": 2}', b"{} {}", b'{"a": "\xff"}', b"[" * 301 + b"]" * 301,
           listed(10001)]
METHODS = {"GET": 200, "LIST": 200, "DELETE": 204, "OPTIONS": 405}
BODILESS = list(itertools.product(METHODS, IGNORED + REFUSED))

# nginx lets larger bodies through to this runtime, so that the worker's own limit is met.
ROOMY = "roomy"


def let_large_bodies_through(text, folder):
    snippets = folder / "nginx/snippets/runtime-catalog"
    worker = (snippets / "worker.conf").read_text()
    (snippets / "roomy.conf").write_text(worker.replace("client_max_body_size 1m;", "client_max_body_size 4m;"))
    place = "include snippets/runtime-catalog/locations.conf;"
    return text.replace(place, f"{place}\n location = {CONTAINER}{ROOMY} {{ include snippets/runtime-catalog/roomy.conf; }}")


def place_of(response, body):
    """How many characters of the body come before the place that the one error text names, that
    one included; None: it names none, or one that the body does not have."""
    match = re.match(PLACE, (response.errors or [""])[0])
    lines = body.decode("utf-8", "replace").split("\n")
    line, column = map(int, match.groups()) if match else (0, 0)
    if not 0 < line <= len(lines) or column > len(lines[line - 1]):
        return None
    return sum(len(text) + 1 for text in lines[:line - 1]) + column


def faults_of_place(response, body):
    """The place must be where Python's own reader stumbles: between the start of the token that
    it names and the token's end."""
    place, before_nul, nul, _ = place_of(response, body), *body.partition(b"\0")
    if nul: # found before anything else
        exact = len((before_nul + nul).decode("utf-8", "replace"))
        return [] if place == exact else [f"the place is {place}, not {exact}"]
    try:
        json.loads(body.decode())
        return []
    except UnicodeDecodeError as fault:
        low = high = len(body[:fault.start].decode())
    except json.JSONDecodeError as fault:
        token = re.compile(r'"(?:\\.|[^"\\])*\\?"?|[A-Za-z]+|-?[0-9.eE+-]+|.?', re.S).match(fault.doc, fault.pos)[0]
        escape = 5 if "escape" in fault.msg else 0
        low, high = fault.pos, fault.pos + max(len(token), escape)
    return [] if place is not None and low <= place <= high else [f"the place is {place}, not from {low} to {high}"]


class Runner:
    def __init__(self, s):
        self.s, self.tap = s, s.tap
        self.runtime = Runtime(s, "bodies")

    def mark(self):
        """Makes the runtime differ from whatever a body asks for."""
        return self.runtime.write("PUT", b'{"cgroup_parent": "marked"}')

    def broken(self, body):
        """A write whose body may be malformed, and the place that is named then."""
        response = self.s.request("POST", self.runtime.path, body, connection=self.runtime.connection)
        wrong = self.runtime.check(response, outcome(body))
        if response.status == 400:
            wrong += faults_of_place(response, body)
        return [body, *wrong, response] if wrong else []

    def bodies(self):
        for (name, body), method in itertools.product(BODIES.items(), ("POST", "PUT")):
            wrong = self.mark() + self.runtime.write(method, body)
            self.tap.ok(not wrong, f"{method}: {name}", *wrong)
        for name, (body, expected) in LIMITS.items():
            wrong = self.mark() + self.runtime.write("POST", body, expected=expected)
            self.tap.ok(not wrong, name, *wrong)

    def places(self):
        for length in range(1, len(VALID)):
            body = VALID[:length]
            wrong = self.broken(body)
            response = self.s.request("POST", self.runtime.path, body, connection=self.runtime.connection)
            if response.status == 400 and place_of(response, body) != len(body.decode("utf-8", "ignore")):
                wrong += ["the place is not the end", response]
            self.tap.ok(not wrong, f"cut off after {length} bytes", *wrong)
        for place in range(len(VALID) + 1):
            wrong = [fault for stray in STRAYS for fault in self.broken(VALID[:place] + stray + VALID[place:])]
            self.tap.ok(not wrong, f"stray bytes after {place} bytes", *wrong)
        wrong = [fault for byte in range(256) for fault in self.broken(VALID + bytes([byte]))]
        self.tap.ok(not wrong, "every byte at the end", *wrong)

    def forms(self):
        for form, expected in FORMS.items():
            if not isinstance(expected, str):
                pairs = json.dumps(expected).encode() # texts only: JSON and form come to the same
            wrong = self.mark() + self.runtime.write(
                "POST", form.encode(), [("Content-Type", FORM)],
                (None, expected) if isinstance(expected, str) else outcome(pairs))
            self.tap.ok(not wrong, f"form {form[:50]!r}", *wrong)
        for kind, is_form in TYPES.items():
            headers = [] if kind is None else [("Content-Type", kind)]
            wrong = self.mark()
            for body in (GOOD, b"\n " + GOOD, b'{"cpu_nanos": tru}', b"[]", b"{", b"", b" "):
                wrong += self.runtime.write("POST", body, headers)
            expected = (record_of({"cpu_nanos": "7"}), None) if is_form else beyond("invalid syntax")
            wrong += self.runtime.write("POST", b"cpu_nanos=7", headers, expected)
            self.tap.ok(not wrong, f"Content-Type {kind}: {'a form' if is_form else 'JSON'}", *wrong)

    def head(self, name, lines, method="POST"):
        return (f"{method} {CONTAINER}{name} HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: {self.s.root_token}\r\n"
                f"{lines}\r\n").encode()

    def lengths(self):
        for name, (lines, rest, expected) in LENGTHS.items():
            wrong = self.mark()
            response = self.s.client.raw(self.head("bodies", lines) + rest)
            if isinstance(expected[0], int):
                status, text = expected
                wrong += [*self.s.faults_of(response, status), *self.s.faults_of_text(response, text)]
                wrong += self.runtime.write("PUT", b"{")
            else:
                wrong += self.runtime.check(response, expected)
            self.tap.ok(not wrong, name, *wrong, response)

    def broken_off(self):
        """The client goes away before all of the body is there."""
        wrong = self.mark()
        for lines, rest in (("Content-Length: 20\r\n", GOOD), (CHUNKED, b"13\r\n" + GOOD + b"\r\n")):
            before = len(lines_of(self.s.access_log))
            with socket.create_connection(("127.0.0.1", self.s.client.port)) as plain:
                with self.s.client.context.wrap_socket(plain, server_hostname="localhost") as connection:
                    connection.sendall(self.head("bodies", lines) + rest)
            wait_for(lambda: len(lines_of(self.s.access_log)) > before, 20, "nginx notices")
            wrong += self.runtime.write("PUT", b"{") # refused, and nothing has changed
        self.tap.ok(not wrong, "a body that does not come to its end", *wrong)

    def expectation(self):
        """The client waits for leave to send; a body that is too large gets none."""
        connection = self.s.client.connect()
        connection.connect()
        connection.sock.sendall(self.head("bodies", "Content-Length: 19\r\nExpect: 100-continue\r\n"))
        self.tap.equal(connection.sock.recv(4096), b"HTTP/1.1 100 Continue\r\n\r\n", "leave to send")
        connection.sock.sendall(GOOD + self.head("bodies", "", "GET"))
        first = connection.sock.recv(4096)
        self.tap.ok(first.startswith(b"HTTP/1.1 204"), "and then it is read", first)
        connection.close()
        large = self.s.client.raw(self.head("bodies", f"Content-Length: {MIB + 1}\r\nExpect: 100-continue\r\n"))
        self.s.answer("no leave for a large body", large, 413, like="too large$")

    def http2(self):
        def post(body, *arguments):
            done = self.s.curl("--http2", "--header", f"X-Vault-Token: {self.s.root_token}", "--data-binary", "@-", *arguments,
                               "--write-out", "\n%{http_version} %{http_code} %{content_type}",
                               f"https://localhost:{self.s.client.port}{CONTAINER}http2", input=body)
            text, _, rest = done.stdout.rpartition("\n")
            return rest, text

        json_type = ("--header", "Content-Type: application/json")
        self.tap.equal(post('{"cpu_nanos": 4711}'), ("2 204 application/json", ""), "HTTP/2: JSON that is said to be a form")
        self.tap.equal(post('{"cpu_nanos": 4712}', *json_type), ("2 204 application/json", ""), "HTTP/2: JSON")
        self.tap.equal(post("cpu_nanos=4713"), ("2 204 application/json", ""), "HTTP/2: a form")
        self.tap.equal(post('{"cpu_nanos":'), (
            "2 400 application/json", '{"errors":["failed to parse JSON: line 1, column 13: the text ends too early"]}\n'),
            "HTTP/2: malformed JSON")
        rest, text = post(" " * (MIB + 1))
        self.tap.ok(rest == "2 413 application/json" and text.endswith('too large"]}\n'), "HTTP/2: too large", rest, text)
        self.tap.equal(self.s.request("GET", CONTAINER + "http2").data["cpu_nanos"], 4713, "HTTP/2: what was stored")

    def sizes(self):
        """413 of nginx and of the worker, which differ in nothing that a client looks at."""
        body = b'{"cpu_nanos": 4711}' + b" " * (MIB - 19)
        answers = {}
        for name in ("narrow", ROOMY):
            self.s.answer(f"{name}: the largest body", self.s.request("POST", CONTAINER + name, body), 204)
            for method in ("POST", "PUT", "DELETE", "GET", "LIST"):
                answer = self.s.request(method, CONTAINER + name, body + b" ")
                self.s.answer(f"{name}: {method} with a byte more", answer, 413, like="request body too large$")
                answers.setdefault(method, []).append(sorted(
                    pair for pair in answer.headers if pair[0] not in ("Date", "Connection", "Content-Length")))
            chunked = self.s.client.raw(self.head(name, CHUNKED) + b"100001\r\n" + body + b" \r\n0\r\n\r\n")
            self.s.answer(f"{name}: in a chunk", chunked, 413, like="request body too large$")
            self.tap.equal(self.s.request("GET", CONTAINER + name).data["cpu_nanos"], 4711, f"{name}: nothing changed")
        for method, (nginx, worker) in answers.items():
            self.tap.equal(nginx, worker, f"{method}: the headers of both are the same")

    def bodiless(self):
        """Methods that take no body: Vault checks its JSON all the same, and ignores it else."""
        for method, body in BODILESS:
            path = CATALOG if method == "LIST" else CONTAINER + "bodiless"
            if method == "DELETE":
                self.s.register("bodiless")
            answer = self.s.request(method, path, body)
            name = f"{method} with {'no body' if body is None else body[:30]!r}"
            if body in REFUSED:
                self.s.answer(name, answer, 400, like=PLACE)
            else:
                self.s.answer(name, answer, METHODS[method])
            if method == "DELETE":
                self.s.register("bodiless")

    def order(self):
        """A malformed body is told before anything that needs a token, and before a slash."""
        path = self.runtime.path
        self.s.answer("malformed, without a token", self.s.request("POST", path, "{", token=None), 400, like=PLACE)
        self.s.answer("malformed, with a bad token", self.s.request("POST", path, "{", token="hvs.bad"), 400, like=PLACE)
        self.s.answer("a bad field, with a bad token", self.s.request("POST", path, '{"cpu_nanos": []}', token="hvs.bad"),
                      403, errors=[BAD_TOKEN])
        self.s.answer("malformed, and a slash at the end", self.s.request("POST", path + "/", "{"), 400, like=PLACE)
        self.s.answer("a slash at the end", self.s.request("POST", path + "/", "{}"), 400, like="^cannot write")


SIZES = 2 * 8 + 5
PLAN = (2 * len(BODIES) + len(LIMITS) + 2 * len(VALID) + 1 + len(FORMS) + len(TYPES) + len(LENGTHS) + 1 + 3 + 6 + SIZES
        + len(BODILESS) + 5)

with stack(plan=PLAN, edit_site=let_large_bodies_through) as s:
    s.expect("nginx", "client intended to send too large( chunked)? body", "client sent invalid chunked body")
    s.register("bodiless")
    runner = Runner(s)
    for part in (runner.bodies, runner.places, runner.forms, runner.lengths, runner.broken_off, runner.expectation,
                 runner.http2, runner.sizes, runner.bodiless, runner.order):
        part()
    print(f"# {len(VALID) - 1} cuts, {(len(VALID) + 1) * len(STRAYS)} stray bytes, {len(BODILESS)} bodies of methods that take none")
