#!/usr/bin/python3
"""Tokens that are there no longer, and where none is kept. headers.py has where they are read from."""
import hashlib
import re
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import BAD_TOKEN, CATALOG, UNCACHED, stack, wait_for  # noqa: E402

with stack(plan=8, worker=UNCACHED) as s:
    good = s.root_token
    brief = s.token("root", ttl="1s")
    lost = s.token("root")
    s.cluster.sql("DELETE FROM runtime_catalog.token WHERE hash = sha256(convert_to('%s', 'UTF8'))" % lost)

    s.answer("a token that was deleted", s.request("LIST", CATALOG, token=lost), 403, errors=[BAD_TOKEN])

    # Expired: true in the database first, so that the answer is about nothing else.
    wait_for(lambda: s.cluster.sql("SELECT bool_or(expires_at < clock_timestamp()) FROM runtime_catalog.token") == "t",
             5, "the token has expired")
    s.answer("an expired token", s.request("LIST", CATALOG, token=brief), 403, errors=[BAD_TOKEN])
    s.answer("no other has", s.request("LIST", CATALOG), 200)

    stored = s.cluster.psql("-c", "SELECT row_to_json(token) FROM runtime_catalog.token").stdout
    s.tap.ok(hashlib.sha256(good.encode()).hexdigest() in stored, "the database holds the token's SHA-256", stored)
    dump = s.cluster.psql("-c", "SELECT row_to_json(change) FROM runtime_catalog.change").stdout + stored
    s.tap.ok(not any(token in dump for token in s.secrets), "and no token anywhere", dump)
    history = s.cluster.sql("SELECT row_to_json(change) FROM runtime_catalog.change")
    s.tap.ok(not any(hashlib.sha256(token.encode()).hexdigest() in history for token in s.secrets),
             "nor a hash in the history, not even of the token that was deleted", history)

    s.tap.ok(all(re.fullmatch(r"hvs\.[0-9A-Za-z]{24,}", token) for token in s.secrets), "tokens look like Vault's")
    s.tap.equal(len(set(s.secrets)), len(s.secrets), "and no two are the same")
