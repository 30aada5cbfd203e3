#!/usr/bin/python3
"""Bad paths, methods and headers are refused with what was wrong, and change nothing. Bad bodies are
in bodies.py, bad fields in fields.py."""
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, CONTAINER, stack  # noqa: E402

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
]

with stack(plan=len(REQUESTS) + 3) as s:
    for method, path, headers, body, status, text, name in REQUESTS:
        s.answer(name, s.request(method, path, body, headers=headers), status, like=text)
    s.answer("nothing of it was registered", s.request("LIST", CATALOG), 200, data={"runtimes": []})

    s.answer("an unknown method", s.request("FROBNICATE", CONTAINER + "a"), 405, errors=[])
    s.answer("no wrapping is fine", s.request("GET", CATALOG, headers=[("X-Vault-Wrap-TTL", "0")]), 200)
