#!/usr/bin/python3
"""Bad input is refused with what was wrong and where, and changes nothing."""
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, CONTAINER, stack  # noqa: E402

MIB = 1024 * 1024
FORM = [("Content-Type", "application/x-www-form-urlencoded")]

# A body, and what the one error text has to say: the field and the essence, or the place.
BODIES = [
    ({"cpu_nanos": -1}, "^runtime cpu in nanos cannot be negative$", "a negative cpu limit"),
    ({"memory_bytes": -1}, "^runtime memory in bytes cannot be negative$", "a negative memory limit"),
    ({"cpu_nanos": "-5"}, "^runtime cpu in nanos cannot be negative$", "a negative limit as text"),
    ({"cpu_nanos": 1.5}, "cpu_nanos.*integer", "a limit with a fraction"),
    ('{"cpu_nanos": 1.0}', "cpu_nanos.*integer", "a whole limit with a point"),
    ('{"cpu_nanos": 1e3}', "cpu_nanos.*integer", "a limit with an exponent"),
    ({"memory_bytes": "abc"}, "memory_bytes.*integer", "a limit that is a word"),
    ({"memory_bytes": " 5"}, "memory_bytes.*integer", "a limit with a space"),
    ({"memory_bytes": "9223372036854775808"}, "memory_bytes.*integer", "a text beyond 64 bits"),
    ({"cpu_nanos": []}, "cpu_nanos.*integer", "a limit that is a list"),
    ({"cpu_nanos": {}}, "cpu_nanos.*integer", "a limit that is an object"),
    ('{"cpu_nanos": 9223372036854775808}', "line 1, column 33.*64 bits", "a number beyond 64 bits, with its place"),
    ('{\n"memory_bytes": -9223372036854775809}', "line 2, column 36.*64 bits", "the same below, on another line"),
    ({"oci_runtime": 7}, "oci_runtime.*string", "a number for a string"),
    ({"cgroup_parent": True}, "cgroup_parent.*string", "a boolean for a string"),
    ({"oci_runtime": ["runsc"]}, "oci_runtime.*string", "a list for a string"),
    ({"oci_runtime": "x" * 4097}, "oci_runtime.*4096", "a text that is too long"),
    ({"rootless": "perhaps"}, "rootless.*true or false", "a boolean that is a word"),
    ({"rootless": 2}, "rootless.*true or false", "a boolean that is 2"),
    ('{"oci_runtime": "a\\u0000b"}', "(?i)U\\+0000|NUL|null", "a NUL, which PostgreSQL cannot hold"),
    ('{"cpu_nanos": 1, "cpu_nanos": 2}', "twice|duplicate", "a key given twice"),
    ('{"cpu_nanos": 1', "line 1", "an object that does not end"),
    ('{"cpu_nanos":\n\n  }', "line 3", "no value, and the line where it is missing"),
    ('{"cpu_nanos": 1,}', "line 1", "a comma too many"),
    ('{"cpu_nanos": tru}', "line 1", "a misspelt literal"),
    ("{'cpu_nanos': 1}", "line 1", "the wrong quotes"),
    ('{} x', "line 1", "something after the object"),
    (b'{"oci_runtime": "\xff"}', "UTF-8", "a body that is not UTF-8"),
    ("hello", "line 1|JSON", "no JSON at all"),
    ("[]", "object", "a list"),
    ('"text"', "object", "a string"),
    ("5", "object", "a number"),
    ("true", "object", "a boolean"),
    ('{"a":' * 5000 + "1" + "}" * 5000, "nested", "an object that is nested too deeply"),
    ("[" * 500000, "nested", "half a million brackets"),
]

# Method, path, headers, body, status, text.
REQUESTS = [
    ("POST", CONTAINER + "-a", [], {}, 404, "unsupported path", "a bad name"),
    ("POST", CONTAINER + "a%20b", [], {}, 404, "unsupported path", "a name with a space"),
    ("POST", CONTAINER + "a%27%3B--", [], {}, 404, "unsupported path", "a name that would be SQL"),
    ("POST", CONTAINER + "a..b", [], {}, 400, r"name.*\.\.", "a name with two full stops"),
    ("POST", CONTAINER + "x" * 256, [], {}, 400, "name.*255", "a name that is too long"),
    ("POST", CATALOG + "/docker/a", [], {}, 404, "container", "an unknown type, and those that there are"),
    ("POST", CONTAINER + "a/", [], {}, 400, "^cannot write to a path ending in '/'$", "a slash at the end"),
    ("GET", CATALOG + "//container/a", [], None, 400, "canonical", "two slashes"),
    ("GET", CATALOG + "/./container/a", [], None, 400, "canonical", "a full stop for a segment"),
    ("GET", CATALOG + "/x/../container/a", [], None, 400, "canonical", "two full stops for a segment"),
    ("GET", CATALOG + "/%2e%2e/catalog/container/a", [], None, 400, "canonical", "the same, escaped"),
    ("GET", "/v1/sys/x/../plugins/runtimes/catalog", [], None, 400, "canonical", "a detour to the catalog"),
    ("GET", "//v1/sys/plugins/runtimes/catalog", [], None, 400, "canonical", "a slash too many in front"),
    ("GET", CONTAINER + "a%0d%0aX-Evil:1", [], None, 400, "control", "a line break in the path"),
    ("GET", CONTAINER + "a%1b", [], None, 400, "control", "an escape character in the path"),
    ("GET", CONTAINER + "%ff", [], None, 400, "UTF-8", "a path that is not UTF-8"),
    ("GET", CATALOG + "?type=%zz", [], None, 400, "hexadecimal|%", "a query that is not escaped as it should be"),
    ("PATCH", CONTAINER + "a", [("Content-Type", "application/merge-patch+json")], {}, 405, "unsupported operation",
     "PATCH, which the catalog does not have"),
    ("PATCH", CONTAINER + "a", [("Content-Type", "text/plain")], {}, 415, "merge-patch", "PATCH of another type"),
    ("GET", CATALOG, [("X-Vault-Wrap-TTL", "60s")], None, 400, "X-Vault-Wrap-TTL", "response wrapping"),
    ("POST", CONTAINER + "a", FORM, "cpu_nanos=x", 400, "cpu_nanos", "a form with a bad value"),
]

with stack(plan=len(BODIES) + len(REQUESTS) + 10) as s:
    for body, text, name in BODIES:
        s.answer(name, s.request("POST", CONTAINER + "never", body), 400, like=f"(?s){text}")
    s.answer("nothing of it was registered", s.request("LIST", CATALOG), 200, data={"runtimes": []})

    for method, path, headers, body, status, text, name in REQUESTS:
        s.answer(name, s.request(method, path, body, headers=headers), status, like=text)
    s.answer("nor of this", s.request("LIST", CATALOG), 200, data={"runtimes": []})

    s.answer("an unknown method", s.request("FROBNICATE", CONTAINER + "a"), 405, errors=[])
    s.answer("no wrapping is fine", s.request("GET", CATALOG, headers=[("X-Vault-Wrap-TTL", "0")]), 200)

    s.expect("nginx", "client intended to send too large body")
    largest = '{"a":"' + "x" * (MIB - 8) + '"}'
    s.answer("the largest body", s.request("POST", CONTAINER + "large", largest), 204)
    s.answer("one byte more", s.request("POST", CONTAINER + "larger", largest + " "), 413, like="too large")
    chunked = s.client.raw((f"POST {CONTAINER}chunked HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token: {s.root_token}\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n14\r\n{\"cpu_nanos\": 4711}\n\r\n0\r\n\r\n").encode())
    s.answer("a chunked body", chunked, 204)
    s.tap.equal(s.request("GET", CONTAINER + "chunked").data["cpu_nanos"], 4711, "is read whole")

    s.answer("a form, as Vault takes it", s.request("POST", CONTAINER + "form", "cpu_nanos=5&rootless=1", headers=FORM),
             204)
    s.tap.equal(s.request("GET", CONTAINER + "form").data["cpu_nanos"], 5, "a form's values")
