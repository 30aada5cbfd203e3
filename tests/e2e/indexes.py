#!/usr/bin/python3
"""Each index serves what sql/README.md says it does, and no table that grows is read from end to end: the
statements that the worker and the tool really send, functions and foreign keys included, among 5,000
rows of each kind, as PostgreSQL counts them."""
import sys

sys.path.append(sys.path[0] + "/../lib")
from harness import CATALOG, CONTAINER, stack  # noqa: E402
from processes import wait_for  # noqa: E402

ROWS = 5000
FILL = f"""
INSERT INTO runtime_catalog.namespace (path, parent_id) SELECT 'n' || n || '/', 1 FROM generate_series(1, 100) AS n;
INSERT INTO runtime_catalog.namespace (path, parent_id)
SELECT path || 'm' || m || '/', id FROM runtime_catalog.namespace, generate_series(1, {ROWS} / 100) AS m WHERE parent_id = 1;
INSERT INTO runtime_catalog.runtime (namespace_id, type, name)
SELECT namespace.id, 'container', 'r' || n FROM runtime_catalog.namespace, generate_series(1, {ROWS} / 100) AS n WHERE path !~ '/.*/';
INSERT INTO runtime_catalog.plugin (namespace_id, type, name, runtime_type, runtime_name)
SELECT namespace_id, 'secret', 'p' || substr(name, 2), type, name FROM runtime_catalog.runtime;
INSERT INTO runtime_catalog.policy (namespace_id, name, text) SELECT 1, 'p' || n, '' FROM generate_series(1, {ROWS}) AS n;
INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, expires_at)
SELECT sha256(n::text::bytea), lpad(n::text, 24, '0'), namespace.id, '{{default}}', now() + interval '1 day'
  FROM generate_series(1, {ROWS}) AS n JOIN runtime_catalog.namespace ON namespace.path = 'n' || n % 100 + 1 || '/';
"""
GROWING = ["namespace", "runtime", "plugin", "policy", "token", "change"]

# What a client, the tool or the worker by itself does, and the indexes that have to be used for it.
# {child} is a token that may be revoked, {accessor} another's accessor.
REQUESTS = [
    ("a read", "GET", CONTAINER + "r7", None, "", 200, ["runtime_pkey", "token_pkey", "policy_pkey"]),
    ("a namespace by its path", "GET", CATALOG, None, "n77", 200, ["namespace_path_key"]),
    ("a registration", "POST", CONTAINER + "new", {}, "", 204, ["runtime_pkey", "namespace_id_path_key"]),
    ("an update", "POST", CONTAINER + "new", {"cpu_nanos": 1}, "", 204, ["runtime_pkey"]),
    ("a removal", "DELETE", CONTAINER + "new", None, "", 204, ["runtime_pkey", "plugin_runtime_idx"]),
    ("a removal that is refused", "DELETE", CONTAINER + "r7", None, "", 400, ["plugin_runtime_idx"]),
    ("a plugin", "GET", "/v1/sys/plugins/catalog/secret/p7", None, "", 200, ["plugin_pkey"]),
    ("a policy", "GET", "/v1/sys/policies/acl/p77", None, "", 200, ["policy_pkey"]),
    ("a token by its accessor", "POST", "/v1/auth/token/lookup-accessor", {"accessor": "{accessor}"}, "", 200, ["token_accessor_key"]),
    ("a token that ends", "POST", "/v1/auth/token/revoke", {"token": "{child}"}, "", 204, ["token_parent_idx"]),
    ("the tokens of a namespace", "LIST", "/v1/auth/token/accessors", None, "n5", 200, ["token_namespace_idx"]),
    ("tokens tidied", "POST", "/v1/auth/token/tidy", {}, "n5", 202, ["token_expires_at_idx"]),
    ("a namespace is made below", "POST", "/v1/sys/namespaces/x", {}, "n9", 200, ["namespace_id_path_key"]),
    ("the namespaces below", "LIST", "/v1/sys/namespaces", None, "n9", 200, ["namespace_parent_idx"]),
]
STATEMENTS = [
    ("tokens that have ended", "SELECT runtime_catalog.tidy_tokens(10)", "runtime_catalog_operator", ["token_expires_at_idx", "token_used_up_at_idx"]),
    ("what changed", "SELECT count(*) FROM runtime_catalog.follow_changes(pg_current_snapshot())", "runtime_catalog_worker", ["change_xid_idx"]),
]


def scans(s):
    """How often each index has been used, and how many rows of each table were read without one."""
    indexes = s.cluster.sql("SELECT indexrelname, idx_scan FROM pg_stat_user_indexes WHERE schemaname = 'runtime_catalog'")
    tables = s.cluster.sql("SELECT relname, seq_tup_read FROM pg_stat_user_tables WHERE schemaname = 'runtime_catalog'")
    return [{name: int(count) for name, count in (line.split("|") for line in text.splitlines())} for text in (indexes, tables)]


def settled(s):
    """Nobody has anything left to report: sessions do so when they have been idle for a second, or end."""
    s.cluster.sql("SELECT pg_stat_force_next_flush()")
    s.cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
    wait_for(lambda: s.cluster.sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'") == "1", 20, "the sessions have ended")
    return scans(s)


def check(s, name, indexes, act):
    """Each of the indexes has been used when act() is done, and no table that grows been read."""
    before_indexes, before_tables = settled(s)
    act()
    after_indexes, after_tables = settled(s)
    unused = [index for index in indexes if after_indexes[index] <= before_indexes[index]]
    read = [table for table in GROWING if after_tables[table] >= before_tables[table] + ROWS]
    s.tap.ok(not unused and not read, f"{name}: by {', '.join(indexes)}", f"not used: {unused}", f"read from end to end: {read}")


def filled(body, known):
    return {key: value.format(**known) if isinstance(value, str) else value for key, value in body.items()} if body else body


with stack(plan=2 * len(REQUESTS) + len(STATEMENTS) + 2, site="stand-alone", worker={"cache": 'max_staleness = "0s"'}) as s:
    s.expect("postgresql", "terminating connection due to administrator command")
    s.cluster.sql(FILL)
    s.cluster.sql("VACUUM ANALYZE")
    # "root" needs no policy's text, so the requests come from a token with a stored one.
    s.policy("all", 'path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"] }')
    token = s.token("all")
    known = {"accessor": "7".zfill(24), "child": s.token("all")}
    s.cluster.sql("UPDATE runtime_catalog.token SET namespace_id = 1 WHERE accessor = '%s'" % known["accessor"])
    for name, method, path, body, namespace, status, indexes in REQUESTS:
        def act(method=method, path=path, body=body, namespace=namespace, name=name, status=status):
            s.answer(name, s.request(method, path, filled(body, known), token=token,
                                     headers=[("X-Vault-Namespace", namespace)] if namespace else []), status)
        check(s, name, indexes, act)
    for name, statement, role, indexes in STATEMENTS:
        check(s, name, indexes, lambda: s.cluster.sql(f"SET ROLE {role}; {statement}"))
    s.cluster.sql("DELETE FROM runtime_catalog.namespace WHERE path = 'n100/m1/'")
    check(s, "the history", ["change_pkey", "change_namespace_idx"], lambda: s.tool("history", "-limit=10"))
    never = [name for name, count in scans(s)[0].items() if count == 0]
    s.tap.equal(never, ["audit_salt_pkey"], "no index goes unused but that of the one row of audit_salt")
