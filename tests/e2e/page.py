#!/usr/bin/python3
"""The sample requests of the API's page, in its order of use, by the real curl; only the address
and the token are ours."""
import json
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CONTAINER, stack  # noqa: E402

PAYLOAD = """{
  "oci_runtime": "example-oci-runtime",
  "cgroup_parent": "/examplelimit/",
  "cpu_nanos": 1000,
  "memory_bytes": 10000000
}
"""
SAMPLE = {"name": "example-plugin-runtime", "type": "container", **json.loads(PAYLOAD)}

# What to do, curl's arguments, the path below /v1, the status, and what `data` holds beside
# what the page does not mention.
SAMPLES = [
    ("register", ["--request", "POST", "--data", "@payload.json"],
     "/sys/plugins/runtimes/catalog/container/example-plugin-runtime", 204, None),
    ("read", ["--request", "GET"],
     "/sys/plugins/runtimes/catalog/container/example-plugin-runtime", 200, SAMPLE),
    ("list by LIST", ["--request", "LIST"],
     "/sys/plugins/runtimes/catalog", 200, {"runtimes": [SAMPLE]}),
    ("list by GET", ["--request", "GET"],
     "/sys/plugins/runtimes/catalog", 200, {"runtimes": [SAMPLE]}),
    ("list a type by LIST", ["--request", "LIST"],
     "/sys/plugins/runtimes/catalog?type=container", 200, {"runtimes": [SAMPLE]}),
    ("list a type by GET", ["--request", "GET"],
     "/sys/plugins/runtimes/catalog?type=container", 200, {"runtimes": [SAMPLE]}),
    ("remove", ["--request", "DELETE"],
     "/sys/plugins/runtimes/catalog/container/example-plugin-runtime", 204, None),
    ("read what was removed", ["--request", "GET"],
     "/sys/plugins/runtimes/catalog/container/example-plugin-runtime", 404, None),
]


def contains(got, wanted):
    """Whether got says all that wanted says."""
    if isinstance(wanted, dict):
        return isinstance(got, dict) and all(contains(got.get(key), wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return isinstance(got, list) and len(got) == len(wanted) and all(map(contains, got, wanted))
    return got == wanted and type(got) is type(wanted)


with stack(plan=2 * len(SAMPLES) + 1) as s:
    (s.folder / "payload.json").write_text(PAYLOAD)
    for name, arguments, path, status, data in SAMPLES:
        done = s.curl("--header", f"X-Vault-Token: {s.root_token}", *arguments,
                      "--write-out", "\n%{http_code}",
                      f"https://localhost:{s.client.port}/v1{path}", cwd=s.folder)
        body, _, code = done.stdout.rpartition("\n")
        s.tap.equal((done.returncode, code), (0, str(status)), f"{name}: {status}")
        if data:
            s.tap.ok(contains(json.loads(body)["data"], data), f"{name}: the page's sample", body)
        else:
            s.tap.equal(body, '{"errors":[]}\n' if status == 404 else "", f"{name}: nothing to say")
    refused = s.curl(f"https://127.0.0.1:{s.client.port}{CONTAINER}x", "--cacert", "/dev/null")
    s.tap.ok(refused.returncode in (60, 77), "a client that trusts other authorities refuses the server",
             refused)
