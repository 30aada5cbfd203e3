"""Tenants for a test of who reaches whom: bravo, whom all are after, and attackers whose names are near
to that. Each has one thing of everything, all of what is bravo's is marked with PLANTED, and the numbers
of namespaces are the same wherever the rows are put.

In the database, when WORLD has run: crossing.reset(lane) makes what an attacker has what it was, and
yields crossing.digest(), of all rows that are no attacker's.
"""
import hashlib
import itertools
import json

BRAVO, BRAVO_ID = "bravo", 100
ATTACKERS = ["b", "bra", "bravo-a", "bravo.a"]
TEAM = "team"              # below each
NAMES = ["same", "only"]   # what attackers ask for: the one they have as well, the other is bravo's alone
PLANTED = b"planted"       # in capitals where a text has only those

# kind: its columns, as far as they are not the usual ones
KINDS = {
    "root": {"policies": "{root}"},
    "limited": {"policies": "{limited}"},
    "greedy": {"policies": "{greedy}"},
    "default": {"policies": "{default}"},
    "periodic": {"policies": "{root}", "period": 3600, "ttl": 3600, "expires_at": "now() + interval '1 hour'"},
    "num_uses": {"policies": "{root}", "uses_left": 1_000_000},
    "bound": {"policies": "{root}", "bound_cidrs": "{127.0.0.0/8}"},
    "bound elsewhere": {"policies": "{root}", "bound_cidrs": "{192.0.2.0/24}"},
    "expired": {"policies": "{root}", "ttl": 60, "expires_at": "now() - interval '1 hour'"},
    "used up": {"policies": "{root}", "uses_left": 0, "used_up_at": "now()"},
    "child": {"policies": "{root}", "parent": "root"},
    "child of an expired one": {"policies": "{root}", "parent": "expired"},
    "orphan": {"policies": "{root}", "path": "auth/token/create-orphan"},
    "of a namespace below": {"policies": "{root}"},
    "revoked": None,
}
SHOWN = [kind for kind in KINDS if KINDS[kind]]
GREEDY = "\n".join(f'path "{path}" {{ capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"] }}'
                   for path in ("*", "+/*", f"{BRAVO}/*", f"{BRAVO}/sys/*", f"../{BRAVO}/*", f"+/{BRAVO}/sys/+/*"))
LIMITED = 'path "sys/plugins/*" { capabilities = ["read", "list", "update", "delete", "sudo"] }'


def token_of(owner, kind):
    return "hvs." + hashlib.sha256(f"{owner} {kind}".encode()).hexdigest()[:28]


def accessor_of(owner, kind):
    """bravo's are planted: nobody else ever sees one."""
    return ("PLANTED" if owner == BRAVO else "") + hashlib.md5(f"{owner} {kind}".encode()).hexdigest()[:17 if owner == BRAVO else 24]


def literal(value):
    text = str(value)
    return text if text.startswith("now()") else "'" + text.replace("'", "''") + "'"


def insertion(table, **columns):
    return f"INSERT INTO runtime_catalog.{table} ({', '.join(columns)}) VALUES ({', '.join(map(literal, columns.values()))});"


def token_row(owner, kind, namespace_id, mark, **more):
    columns = dict(KINDS[kind], hash="\\x" + hashlib.sha256(token_of(owner, kind).encode()).hexdigest(), namespace_id=namespace_id,
                   accessor=accessor_of(owner, kind), display_name=mark, meta=json.dumps({"of": mark}), **more)
    if "parent" in columns:
        columns["parent"] = accessor_of(owner, columns["parent"])
    return insertion("token", **columns)


def tenant_rows(name, number, mark):
    """A tenant with one thing of everything, and the names that all of them use."""
    names = [*NAMES, "planted-name"] if name == BRAVO else NAMES[:1]
    yield insertion("namespace", id=number, path=f"{name}/", parent_id=1, custom_metadata=json.dumps({"of": mark}))
    for offset, below in enumerate([TEAM, *names], 1):
        yield insertion("namespace", id=number + offset, path=f"{name}/{below}/", parent_id=number, custom_metadata=json.dumps({"of": mark}))
    for below in names:
        yield insertion("runtime", namespace_id=number, type="container", name=below, oci_runtime=mark, cgroup_parent=mark)
        for kind, version in itertools.product(("secret", "unknown"), ("", "v1.0.0")):
            yield insertion("plugin", namespace_id=number, type=kind, name=below, version=version, command=mark, args=f"{{{mark}}}",
                            env=f"{{X={mark}}}", oci_image=mark, sha256="\\x" + "ab" * 32, runtime_type="container", runtime_name=below)
        yield insertion("policy", namespace_id=number, name=below, text=f'path "{mark}" {{ capabilities = ["read"] }}')
    yield insertion("policy", namespace_id=number, name="limited", text=LIMITED)
    yield insertion("policy", namespace_id=number, name="greedy", text=GREEDY)
    for kind in SHOWN:
        yield token_row(name, kind, number + ("below" in kind), mark)


def attacker_rows(lane):
    """An attacker, and tokens that are its own although they belong to namespaces of others."""
    name = ATTACKERS[lane]
    yield from tenant_rows(name, 200 + 10 * lane, "own")
    yield token_row(f"parent {name}", "root", 1, f"lane-{lane}")
    yield token_row(f"below {BRAVO} {name}", "root", BRAVO_ID + 1, f"lane-{lane}")


# lane: the place of an attacker in ATTACKERS; null: not theirs.
FUNCTIONS = """
SELECT setval(pg_get_serial_sequence('runtime_catalog.namespace', 'id'), 10000);
CREATE SCHEMA crossing;
CREATE FUNCTION crossing.lane_of(path text, display_name text) RETURNS integer LANGUAGE sql AS $$
    SELECT coalesce(substring($2 FROM '^lane-(\\d+)$')::integer,
                    array_position(string_to_array('%(attackers)s', ' '), split_part($1, '/', 1)) - 1)
$$;
CREATE FUNCTION crossing.rows() RETURNS TABLE (lane integer, part text, path text, held jsonb) LANGUAGE sql AS $$
    SELECT crossing.lane_of(own.path, x.held ->> 'display_name'), x.part, own.path, x.held
      FROM runtime_catalog.namespace AS own,
           LATERAL (SELECT 'namespace', to_jsonb(own) UNION ALL
                    SELECT 'runtime', to_jsonb(x) FROM runtime_catalog.runtime AS x WHERE x.namespace_id = own.id UNION ALL
                    SELECT 'plugin',  to_jsonb(x) FROM runtime_catalog.plugin  AS x WHERE x.namespace_id = own.id UNION ALL
                    SELECT 'policy',  to_jsonb(x) FROM runtime_catalog.policy  AS x WHERE x.namespace_id = own.id UNION ALL
                    SELECT 'token',   to_jsonb(x) FROM runtime_catalog.token   AS x WHERE x.namespace_id = own.id) AS x (part, held)
$$;
CREATE FUNCTION crossing.digest() RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(held::text, ' ' ORDER BY held::text)) FROM crossing.rows() WHERE lane IS NULL
$$;
-- But for root's own token, of which no copy is to lie around.
CREATE TABLE crossing.held AS SELECT * FROM crossing.rows() WHERE lane IS NOT NULL OR part <> 'token' OR path <> '';
CREATE FUNCTION crossing.clear(wanted text, lane integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[] := ARRAY(SELECT id FROM runtime_catalog.namespace
                           WHERE split_part(path, '/', 1) = wanted ORDER BY path DESC);
    one bigint;
BEGIN
    DELETE FROM runtime_catalog.plugin  WHERE namespace_id = ANY (ids);
    DELETE FROM runtime_catalog.runtime WHERE namespace_id = ANY (ids);
    DELETE FROM runtime_catalog.policy  WHERE namespace_id = ANY (ids);
    DELETE FROM runtime_catalog.token   WHERE namespace_id = ANY (ids) OR display_name = 'lane-' || lane;
    FOREACH one IN ARRAY ids LOOP
        DELETE FROM runtime_catalog.namespace WHERE id = one;
    END LOOP;
END
$$;
CREATE FUNCTION crossing.reset(wanted integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    one text;
BEGIN
    PERFORM crossing.clear(split_part('%(attackers)s', ' ', wanted + 1), wanted);
    INSERT INTO runtime_catalog.namespace (id, path, parent_id, custom_metadata, created_at, updated_at)
    SELECT x.id, x.path, x.parent_id, x.custom_metadata, x.created_at, x.updated_at
      FROM crossing.held, jsonb_populate_record(NULL::runtime_catalog.namespace, held) AS x
     WHERE lane = wanted AND part = 'namespace' ORDER BY x.path;
    FOREACH one IN ARRAY ARRAY['runtime', 'plugin', 'policy', 'token'] LOOP
        EXECUTE format('INSERT INTO runtime_catalog.%%1$I SELECT x.* FROM crossing.held,'
                       ' jsonb_populate_record(NULL::runtime_catalog.%%1$I, held) AS x WHERE lane = $1 AND part = %%1$L', one) USING wanted;
    END LOOP;
    RETURN crossing.digest();
END
$$;
-- What a worker does by itself would change rows as well.
CREATE OR REPLACE FUNCTION runtime_catalog.tidy_tokens(batch integer) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
"""


def everybody():
    """SQL that makes all of them, and the functions."""
    rows = itertools.chain(tenant_rows(BRAVO, BRAVO_ID, PLANTED.decode()), *map(attacker_rows, range(len(ATTACKERS))))
    return "\n".join(rows) + FUNCTIONS % {"attackers": " ".join(ATTACKERS)}


def without_bravo():
    """SQL that takes bravo out again, as if it had never been."""
    return (f"SELECT crossing.clear('{BRAVO}', NULL);"
            f" DELETE FROM crossing.held WHERE held ->> 'namespace_id' = '{BRAVO_ID + 1}' AND part = 'token';")
