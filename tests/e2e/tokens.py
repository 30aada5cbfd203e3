#!/usr/bin/python3
"""Tokens: where they are read from, what every bad one is answered with, and where none is kept."""
import hashlib
import re
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import BAD_TOKEN, CATALOG, CONTAINER, NO_TOKEN, stack, wait_for  # noqa: E402

UNKNOWN = "hvs." + "0" * 24

with stack(plan=51) as s:
    good = s.root_token
    brief = s.token("root", ttl="1s")
    lost = s.token("root")
    s.cluster.sql("DELETE FROM runtime_catalog.token WHERE hash = sha256(convert_to('%s', 'UTF8'))" % lost)

    def ask(*headers, path=CATALOG, method="GET", body=None):
        return s.request(method, path, body, token=None, headers=headers)

    # The headers, and the status with the error's text.
    cases = [
        ([], 403, NO_TOKEN, "no token"),
        ([("X-Vault-Token", "")], 403, NO_TOKEN, "an empty token"),
        ([("Authorization", "")], 403, NO_TOKEN, "an empty Authorization"),
        ([("Authorization", "Bearer ")], 403, NO_TOKEN, "Bearer and nothing"),
        ([("Authorization", good)], 403, NO_TOKEN, "Authorization without Bearer"),
        ([("Authorization", f"bearer {good}")], 403, NO_TOKEN, "Bearer is case-sensitive"),
        ([("Authorization", f"Basic {good}")], 403, NO_TOKEN, "another scheme"),
        ([("Cookie", f"X-Vault-Token={good}")], 403, NO_TOKEN, "a cookie"),
        ([("X_Vault_Token", good)], 403, NO_TOKEN, "underscores instead of hyphens"),
        ([("X-Vault-Token", UNKNOWN)], 403, BAD_TOKEN, "an unknown token"),
        ([("Authorization", f"Bearer {UNKNOWN}")], 403, BAD_TOKEN, "an unknown bearer token"),
        ([("X-Vault-Token", lost)], 403, BAD_TOKEN, "a token that was deleted"),
        ([("X-Vault-Token", good + "x")], 403, BAD_TOKEN, "a token and one letter"),
        ([("X-Vault-Token", good[:-1])], 403, BAD_TOKEN, "a token without its last letter"),
        ([("X-Vault-Token", good.swapcase())], 403, BAD_TOKEN, "a token in other letters"),
        ([("X-Vault-Token", "root")], 403, BAD_TOKEN, "the word root"),
        ([("X-Vault-Token", "' OR true --")], 403, BAD_TOKEN, "an injection"),
        ([("X-Vault-Token", "\u00e9")], 403, BAD_TOKEN, "a token that is not UTF-8"),
        ([("X-Vault-Token", "x" * 8192)], 403, BAD_TOKEN, "the longest token"),
        ([("X-Vault-Token", UNKNOWN), ("Authorization", f"Bearer {good}")], 403, BAD_TOKEN,
         "both kinds: X-Vault-Token wins, even if it is the bad one"),
    ]
    for headers, status, text, name in cases:
        s.answer(name, ask(*headers), status, errors=[text])

    # What any of these writes would have done must not have happened.
    for method in ("POST", "PUT", "DELETE", "LIST"):
        path = CATALOG if method == "LIST" else CONTAINER + "never"
        s.answer(f"{method} without a token", ask(method=method, path=path, body={}), 403, errors=[NO_TOKEN])
        s.answer(f"{method} with an unknown token",
                 ask(("X-Vault-Token", UNKNOWN), method=method, path=path, body={}), 403, errors=[BAD_TOKEN])
    s.answer("nothing was registered", s.request("LIST", CATALOG), 200, data={"runtimes": []})
    s.answer("a path that leads nowhere, without a token", ask(path=CATALOG + "/nowhere"), 403, errors=[NO_TOKEN])
    s.answer("and with an unknown one", ask(("X-Vault-Token", UNKNOWN), path=CATALOG + "/nowhere"), 403,
             errors=[BAD_TOKEN])

    accepted = [
        ([("X-Vault-Token", good)], "X-Vault-Token"),
        ([("x-vault-token", good)], "in lower case"),
        ([("Authorization", f"Bearer {good}")], "Authorization: Bearer"),
        ([("Authorization", f"Bearer   {good}")], "with more spaces"),
        ([("X-Vault-Token", ""), ("Authorization", f"Bearer {good}")], "an empty X-Vault-Token does not count"),
        ([("X-Vault-Token", good), ("Authorization", f"Bearer {UNKNOWN}")], "both kinds: X-Vault-Token wins"),
        ([("X-Vault-Token", good), ("X-Vault-Request", "true")], "Vault's client says who it is"),
    ]
    for headers, name in accepted:
        s.answer(name, ask(*headers), 200, data={"runtimes": []})

    refused = [
        ([("X-Vault-Token", good)] * 2, 400, "X-Vault-Token", "the same header twice"),
        ([("X-Vault-Token", good), ("X-Vault-Token", UNKNOWN)], 400, "X-Vault-Token", "twice, good first"),
        ([("X-Vault-Token", UNKNOWN), ("x-vault-token", good)], 400, "X-Vault-Token", "twice, good last"),
        ([("Authorization", f"Bearer {good}")] * 2, 400, "could not read", "Authorization twice"),
        ([("X-Vault-Token", f"{good}, {good}")], 400, "X-Vault-Token", "joined, as nginx from 1.23 does"),
        ([("X-Vault-Token", "x" * 8193)], 431, "exceeds maximum allowed header size of 8192 bytes",
         "a token that is too long"),
    ]
    for headers, status, text, name in refused:
        s.answer(name, ask(*headers), status, like=text)

    # Expired: true in the database first, so that the answer is about nothing else.
    wait_for(lambda: s.cluster.sql("SELECT bool_or(expires_at < clock_timestamp()) FROM runtime_catalog.token") == "t",
             5, "the token has expired")
    s.answer("an expired token", ask(("X-Vault-Token", brief)), 403, errors=[BAD_TOKEN])
    s.answer("no other has", ask(("X-Vault-Token", good)), 200)

    stored = s.cluster.psql("-c", "SELECT row_to_json(token) FROM runtime_catalog.token").stdout
    s.tap.ok(hashlib.sha256(good.encode()).hexdigest() in stored, "the database holds the token's SHA-256", stored)
    dump = s.cluster.psql("-c", "SELECT row_to_json(change) FROM runtime_catalog.change").stdout + stored
    s.tap.ok(not any(token in dump for token in s.secrets), "and no token anywhere", dump)
    history = s.cluster.sql("SELECT row_to_json(change) FROM runtime_catalog.change")
    s.tap.ok(not any(hashlib.sha256(token.encode()).hexdigest() in history for token in s.secrets),
             "nor a hash in the history, not even of the token that was deleted", history)

    s.tap.ok(all(re.fullmatch(r"hvs\.[0-9A-Za-z]{24,}", token) for token in s.secrets), "tokens look like Vault's")
    s.tap.equal(len(set(s.secrets)), len(s.secrets), "and no two are the same")
