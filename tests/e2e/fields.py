#!/usr/bin/python3
"""Every field × every kind of value × both methods of a write: what is stored, or what the one
error text names while the record that was there stays as it was. tests/lib/coercion.py says what
must come; nothing here does."""
import itertools
import json
import sys

sys.path.append(sys.path[0] + "/../lib")
from coercion import FIELDS  # noqa: E402
from harness import stack  # noqa: E402
from runtime import Runtime  # noqa: E402
from values import ABSENT, IGNORED, TABLE, VALUES, body_of  # noqa: E402

FULL = {"oci_runtime": "runc", "cgroup_parent": "/x/", "cpu_nanos": 1, "memory_bytes": 2, "rootless": True}
SUBSETS = [subset for size in range(len(FULL) + 1) for subset in itertools.combinations(FULL, size)]

# Several faults in one body: the first field in the worker's order is named, the signs come last.
FAULTS = [[(), (field, [])] + [(field, -1)] * field.endswith(("nanos", "bytes")) for field in FIELDS]
COMBINATIONS = [dict(filter(None, faults)) for faults in itertools.product(*FAULTS)]

with stack(plan=len(TABLE) + len(SUBSETS) + len(COMBINATIONS)) as s:
    runtime = Runtime(s, "fields")
    number = 0
    for field, value in TABLE:
        wrong = []
        for method in ("POST", "PUT"):
            number += 1
            wrong += runtime.write(method, body_of(field, value, number, method == "POST"))
        s.tap.ok(not wrong, f"{field}: {'absent' if value is ABSENT else repr(value[:60])[2:-1]}", *wrong)
    print(f"# {len(TABLE)} pairs of {len(FIELDS) + len(IGNORED)} fields and {len(VALUES)} values, {number} writes")

    for subset in SUBSETS:
        wrong = []
        for method in ("POST", "PUT"):
            wrong += runtime.write(method, json.dumps(FULL).encode())
            wrong += runtime.write(method, json.dumps({field: FULL[field] for field in subset}).encode())
        s.tap.ok(not wrong, f"a write replaces all: {', '.join(subset) or 'nothing'} given", *wrong)

    for members in COMBINATIONS:
        wrong = runtime.write("POST", json.dumps(members).encode())
        s.tap.ok(not wrong, f"the first of several faults: {members}", *wrong)
