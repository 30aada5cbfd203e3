#!/usr/bin/python3
"""Vault's envelope and headers, and the request id by which both logs and an answer meet."""
import json
import re
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from cluster import lines_of  # noqa: E402

KEYS = ["request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info", "warnings", "auth", "mount_type"]
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# What each answer carries; Date and Connection are HTTP's own, Server says no version.
HEADERS = {"Server": "nginx", "Content-Type": "application/json", "Cache-Control": "no-store",
           "Strict-Transport-Security": "max-age=31536000; includeSubDomains"}

# Text by text: what Go escapes, and what it does not. \b and \f have short escapes from Go 1.22 on.
TEXTS = {
    **{f"U+{code:04X}": chr(code) for code in [*range(1, 32), 0x22, 0x26, 0x2F, 0x3C, 0x3E, 0x5C, 0x7F, 0x80, 0x9F, 0xA0,
                                               0xAD, 0x2027, 0x2028, 0x2029, 0x202A, 0x202E, 0x20A8, 0xE280, 0xFEFF,
                                               0xFFFD, 0xFFFF, 0x1F600, 0x10FFFF]},
    "markup": "<a href=\"x\">&amp;</a>", "escapes that are text": "\\u003C\\N\\\\", "line ends": "\r\n\u2028\u2029\n",
    "a family": "\U0001f468\u200d\U0001f469\u200d\U0001f467", "e and an accent": "e\u0301",
}
SHORT = {"\"": "\\\"", "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def go_string(text):
    """The rule of Go's encoding/json, letter by letter."""
    return "".join(SHORT.get(c) or (f"\\u{ord(c):04x}" if c < " " or c in "<>&\u2028\u2029" else c) for c in text)


def exactly(response, cgroup_parent, oci_runtime="runsc", cpu_nanos=0, memory_bytes=0, rootless="false"):
    """Every byte of a read of the runtime "escaped" but its request id."""
    return (f'{{"request_id":"{response.key("request_id")}","lease_id":"","renewable":false,"lease_duration":0,"data":{{'
            f'"cgroup_parent":"{go_string(cgroup_parent)}","cpu_nanos":{cpu_nanos},"memory_bytes":{memory_bytes},'
            f'"name":"escaped","oci_runtime":"{go_string(oci_runtime)}","rootless":{rootless},"type":"container"}},'
            '"wrap_info":null,"warnings":null,"auth":null,"mount_type":"system"}\n').encode()


with stack(plan=len(TEXTS) + 24) as s:
    s.register("example")
    answers = [("a read", s.request("GET", CONTAINER + "example")), ("a list", s.request("LIST", CATALOG))]
    for name, response in answers:
        envelope = response.json
        s.tap.equal(list(envelope), KEYS, f"{name}: nine keys in Vault's order")
        s.tap.equal([envelope[key] for key in KEYS[1:4] + KEYS[5:]], ["", False, 0, None, None, None, "system"],
                    f"{name}: what they hold")
        s.tap.ok(re.fullmatch(UUID, envelope["request_id"]), f"{name}: the request id is a UUID", envelope)
        # Vault's encoder puts no space anywhere, and one newline at the end.
        compact = json.dumps(envelope, separators=(",", ":"), ensure_ascii=False) + "\n"
        s.tap.equal(response.body.decode(), compact, f"{name}: compact, with a newline")
    first, second = (response.json["request_id"] for _, response in answers)
    s.tap.ok(first != second, "no two requests share an id")
    s.tap.ok(any(first in line and "GET /v1/sys/plugins/runtimes/catalog/container/example " in line
                 for line in lines_of(s.access_log)), "nginx's log has the id", *lines_of(s.access_log))
    s.tap.ok(any(first in line for line in lines_of(s.worker_log)), "the worker's log has it too",
             *lines_of(s.worker_log))

    for name, text in TEXTS.items():
        s.register("escaped", cgroup_parent=text)
        read = s.request("GET", CONTAINER + "escaped")
        s.tap.equal(read.body, exactly(read, text), f"as Go spells it: {name}")
    s.register("escaped", oci_runtime="".join(TEXTS.values()), cpu_nanos=2**63 - 1, memory_bytes=10**18, rootless=True)
    read = s.request("GET", CONTAINER + "escaped")
    s.tap.equal(read.body, exactly(read, "", "".join(TEXTS.values()), 2**63 - 1, 10**18, "true"), "integers are integers")
    refused = s.request("GET", CATALOG + "?type=%3C%26%3E%E2%80%A8%22%5C%F0%9F%98%80%7F")
    s.tap.equal(refused.body, b'{"errors":["\\"\\u003c\\u0026\\u003e\\u2028\\"\\\\' + "\U0001f600\x7f".encode()
                + b'\\" is not a supported plugin runtime type"]}\n', "as Go spells it: an error")

    for name, response, length in [
            ("200", s.request("GET", CONTAINER + "example"), True),
            ("204", s.request("PUT", CONTAINER + "example", {}), False),
            ("400", s.request("PUT", CONTAINER + "example", []), True),
            ("403", s.request("GET", CATALOG, token=None), True),
            ("404", s.request("GET", CONTAINER + "absent"), True)]:
        headers = sorted(pair for pair in response.headers if pair[0] not in ("Date", "Connection", "Content-Length", "ETag"))
        s.tap.equal((str(response.status), headers), (name, sorted(HEADERS.items())), f"{name}: exactly Vault's headers, but a 200's tag")
        s.tap.equal(len(response.values("Content-Length")) == 1 and
                    int(response.header("Content-Length")) == len(response.body), length,
                    f"{name}: {'its length' if length else 'no length'}")

    echoed = s.request("GET", CONTAINER + "example", headers=[("X-Vault-Namespace", "")])
    s.answer("an empty namespace header is none", echoed, 200)
