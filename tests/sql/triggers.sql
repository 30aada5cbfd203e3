-- History: what each kind of change of each table leaves in change, and what leaves nothing.

BEGIN;
SET LOCAL search_path = pgtap, pg_catalog;
SET LOCAL client_min_messages = warning;
SELECT plan(75);
GRANT USAGE ON SCHEMA pgtap TO PUBLIC;

INSERT INTO runtime_catalog.namespace (id, path, parent_id)
SELECT wanted.id, wanted.path, root.id
  FROM runtime_catalog.namespace AS root,
       (VALUES (1001, 'team-a/'), (1002, 'team-b/')) AS wanted (id, path)
 WHERE root.path = '';

-- Runs a statement that changes the one row of a table that a condition finds, and yields what it
-- left in change, a line each: "table operation namespace key", and what is wrong with the rest.
CREATE FUNCTION pg_temp.recorded(name text, condition text, statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    mark   bigint := (SELECT coalesce(max(id), 0) FROM runtime_catalog.change);
    query  text   := format('SELECT to_jsonb(it) - ''hash'' FROM runtime_catalog.%I AS it WHERE %s', name, condition);
    before jsonb;
    after  jsonb;
BEGIN
    EXECUTE query INTO before;
    EXECUTE statement;
    EXECUTE query INTO after;
    RETURN (SELECT string_agg(
                   concat_ws(' ', table_name, operation, namespace_id, key,
                             CASE WHEN operation = 'forget' THEN coalesce(old, new)::text
                                  WHEN old IS DISTINCT FROM before THEN 'wrong old'
                                  WHEN new IS DISTINCT FROM after THEN 'wrong new' END,
                             CASE WHEN xid <> pg_current_xact_id() THEN 'wrong xid' END,
                             CASE WHEN changed_at NOT BETWEEN now() AND clock_timestamp() THEN 'wrong time' END,
                             CASE WHEN role_name <> session_user THEN 'wrong role' END), E'\n' ORDER BY id)
              FROM runtime_catalog.change
             WHERE id > mark);
END
$$;

-- Each table: insert, update, update that changes nothing, delete

SELECT is(pg_temp.recorded(name, condition, statement), nullif(expected, ''), statement)
  FROM (VALUES
    ('namespace', 'id = 1003',
     'INSERT INTO runtime_catalog.namespace (id, path, parent_id) VALUES (1003, ''team-a/x/'', 1001)',
     'namespace insert 1003 {"path": "team-a/x/"}'),
    ('namespace', 'id = 1003',
     'UPDATE runtime_catalog.namespace SET max_runtimes = 5 WHERE id = 1003',
     'namespace update 1003 {"path": "team-a/x/"}'),
    ('namespace', 'id = 1003',
     'DELETE FROM runtime_catalog.namespace WHERE id = 1003',
     'namespace delete 1003 {"path": "team-a/x/"}'),
    ('runtime', 'namespace_id = 1001',
     'INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1001, ''container'', ''r'')',
     'runtime insert 1001 {"name": "r", "type": "container"}'),
    ('runtime', 'namespace_id = 1001',
     'UPDATE runtime_catalog.runtime SET cpu_nanos = 7, rootless = true WHERE namespace_id = 1001',
     'runtime update 1001 {"name": "r", "type": "container"}'),
    ('runtime', 'namespace_id = 1001',
     'UPDATE runtime_catalog.runtime SET cpu_nanos = 7 WHERE namespace_id = 1001',
     'runtime update 1001 {"name": "r", "type": "container"}'),
    ('runtime', 'namespace_id = 1001',
     'INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1001, ''container'', ''r'') '
     'ON CONFLICT (namespace_id, type, name) DO UPDATE SET oci_runtime = ''runc''',
     'runtime update 1001 {"name": "r", "type": "container"}'),
    ('plugin', 'namespace_id = 1001',
     'INSERT INTO runtime_catalog.plugin (namespace_id, type, name, version, sha256, runtime_type, runtime_name) '
     'VALUES (1001, ''secret'', ''p'', ''v1'', sha256(''p''), ''container'', ''r'')',
     'plugin insert 1001 {"name": "p", "type": "secret", "version": "v1"}'),
    ('plugin', 'namespace_id = 1001',
     'UPDATE runtime_catalog.plugin SET args = ''{-x}'' WHERE namespace_id = 1001',
     'plugin update 1001 {"name": "p", "type": "secret", "version": "v1"}'),
    ('plugin', 'namespace_id = 1001',
     'DELETE FROM runtime_catalog.plugin WHERE namespace_id = 1001',
     'plugin delete 1001 {"name": "p", "type": "secret", "version": "v1"}'),
    ('runtime', 'namespace_id = 1001',
     'DELETE FROM runtime_catalog.runtime WHERE namespace_id = 1001',
     'runtime delete 1001 {"name": "r", "type": "container"}'),
    ('policy', 'namespace_id = 1001',
     'INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1001, ''p'', ''one'')',
     'policy insert 1001 {"name": "p"}'),
    ('policy', 'namespace_id = 1001',
     'UPDATE runtime_catalog.policy SET text = ''two'' WHERE namespace_id = 1001',
     'policy update 1001 {"name": "p"}'),
    ('policy', 'namespace_id = 1001',
     'DELETE FROM runtime_catalog.policy WHERE namespace_id = 1001',
     'policy delete 1001 {"name": "p"}'),
    ('token', 'namespace_id = 1001',
     'INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, uses_left) '
     'VALUES (sha256(''t''), repeat(''t'', 24), 1001, ''{p}'', 9)',
     'token insert 1001 {"accessor": "tttttttttttttttttttttttt"}'),
    ('token', 'namespace_id = 1001', 'UPDATE runtime_catalog.token SET uses_left = 8 WHERE namespace_id = 1001', ''),
    ('token', 'namespace_id = 1001', 'UPDATE runtime_catalog.token SET uses_left = 0, used_up_at = now() WHERE namespace_id = 1001', ''),
    ('token', 'namespace_id = 1001', 'UPDATE runtime_catalog.token SET uses_left = NULL WHERE namespace_id = 1001', ''),
    ('token', 'namespace_id = 1001', 'UPDATE runtime_catalog.token SET policies = policies WHERE namespace_id = 1001', ''),
    ('runtime', 'namespace_id = 1001', 'UPDATE runtime_catalog.runtime SET cpu_nanos = 1 WHERE namespace_id = 1003', ''),
    ('runtime', 'namespace_id = 1001', 'DELETE FROM runtime_catalog.runtime WHERE namespace_id = 1003', ''),
    ('token', 'namespace_id = 1001',
     'UPDATE runtime_catalog.token SET uses_left = 1, display_name = ''x'' WHERE namespace_id = 1001',
     'token update 1001 {"accessor": "tttttttttttttttttttttttt"}'))
    AS tried (name, condition, statement, expected);

-- A token: every column but uses_left is history, also the hash that is not shown.

SELECT is(pg_temp.recorded('token', 'namespace_id = 1001',
                           format('UPDATE runtime_catalog.token SET %s WHERE namespace_id = 1001', assignment)),
          'token update 1001 {"accessor": "tttttttttttttttttttttttt"}', assignment)
  FROM unnest(ARRAY['hash = sha256(''other'')',
                    'policies = ''{q}''',
                    'display_name = ''y''',
                    'meta = ''{"a": "b"}''',
                    'path = ''auth/token/create-orphan''',
                    'created_at = ''2000-01-01''',
                    'renewed_at = ''2000-01-02''',
                    'expires_at = ''2100-01-01''',
                    'renewable = false',
                    'ttl = 1',
                    'explicit_max_ttl = 1',
                    'period = 1',
                    'bound_cidrs = ''{10.0.0.0/8}''']) AS assignment;
SELECT is(pg_temp.recorded('token', 'accessor = repeat(''c'', 24)', statement), expected, statement)
  FROM (VALUES ('INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies) VALUES (sha256(''c''), repeat(''c'', 24), 1001, ''{}'')',
                'token insert 1001 {"accessor": "cccccccccccccccccccccccc"}'),
               ('UPDATE runtime_catalog.token SET parent = repeat(''t'', 24) WHERE accessor = repeat(''c'', 24)',
                'token update 1001 {"accessor": "cccccccccccccccccccccccc"}'))
       AS tried (statement, expected);
INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies)
VALUES (sha256('1'), repeat('1', 24), 1001, '{}'), (sha256('2'), repeat('2', 24), 1001, '{}');
SELECT is((SELECT string_agg(concat_ws(' ', operation, left(key ->> 'accessor', 1), left(new ->> 'accessor', 1)), ', ' ORDER BY id)
             FROM (SELECT * FROM runtime_catalog.change ORDER BY id DESC LIMIT 2) AS latest),
          'insert 1 1, insert 2 2', 'a row of history for each row that one statement changes');
DELETE FROM runtime_catalog.token WHERE accessor = repeat('t', 24);
SELECT is((SELECT string_agg(concat_ws(' ', operation, left(key ->> 'accessor', 1), old ->> 'display_name'), ', ' ORDER BY id)
             FROM (SELECT * FROM runtime_catalog.change ORDER BY id DESC LIMIT 2) AS latest),
          'delete t y, delete c token', 'a token takes its children with it, and each leaves its row');
SELECT is((SELECT count(*) FROM runtime_catalog.change WHERE old ? 'hash' OR new ? 'hash' OR key ? 'hash'),
          0::bigint, 'no row of history has a hash');
SELECT is((SELECT count(*)
             FROM runtime_catalog.change,
                  unnest(ARRAY['t', 'other', 'c', '1', '2']) AS text
            WHERE change::text LIKE '%' || encode(sha256(text::bytea), 'hex') || '%'),
          0::bigint, 'nor the bytes of one, in whatever column');

-- A row that moves: whoever remembers either place must hear of it.

INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1001, 'container', 'r');
INSERT INTO runtime_catalog.plugin (namespace_id, type, name)  VALUES (1001, 'secret', 'p');
INSERT INTO runtime_catalog.policy (namespace_id, name, text)  VALUES (1001, 'p', '');
SELECT is(pg_temp.recorded(name, condition, statement), expected || E'\nchange forget', statement)
  FROM (VALUES
    ('runtime', 'created_at = now()', 'UPDATE runtime_catalog.runtime SET name = ''s'' WHERE namespace_id = 1001',
     'runtime update 1001 {"name": "r", "type": "container"}'),
    ('plugin', 'created_at = now()', 'UPDATE runtime_catalog.plugin SET type = ''auth'' WHERE namespace_id = 1001',
     'plugin update 1001 {"name": "p", "type": "secret", "version": ""}'),
    ('plugin', 'created_at = now()', 'UPDATE runtime_catalog.plugin SET version = ''v2'' WHERE namespace_id = 1001',
     'plugin update 1001 {"name": "p", "type": "auth", "version": ""}'),
    ('policy', 'created_at = now()', 'UPDATE runtime_catalog.policy SET name = ''q'' WHERE namespace_id = 1001',
     'policy update 1001 {"name": "p"}'),
    ('token', 'accessor IN (repeat(''1'', 24), repeat(''3'', 24))',
     'UPDATE runtime_catalog.token SET accessor = repeat(''3'', 24) WHERE accessor = repeat(''1'', 24)',
     'token update 1001 {"accessor": "111111111111111111111111"}'),
    ('namespace', 'id = 1002', 'UPDATE runtime_catalog.namespace SET path = ''team-c/'' WHERE id = 1002',
     'namespace update 1002 {"path": "team-b/"}'),
    ('namespace', 'path = ''team-c/''', 'UPDATE runtime_catalog.namespace SET id = 1004 WHERE path = ''team-c/''',
     'namespace update 1002 {"path": "team-c/"}'),
    ('namespace', 'path = ''team-c/''', 'UPDATE runtime_catalog.namespace SET id = 1002, parent_id = 1 WHERE path = ''team-c/''',
     'namespace update 1004 {"path": "team-c/"}'),
    ('token', 'accessor = repeat(''3'', 24)', 'UPDATE runtime_catalog.token SET namespace_id = 1002 WHERE accessor = repeat(''3'', 24)',
     'token update 1001 {"accessor": "333333333333333333333333"}'),
    ('runtime', 'created_at = now()', 'UPDATE runtime_catalog.runtime SET namespace_id = 1002 WHERE namespace_id = 1001',
     'runtime update 1001 {"name": "s", "type": "container"}'),
    ('plugin', 'created_at = now()', 'UPDATE runtime_catalog.plugin SET namespace_id = 1002 WHERE namespace_id = 1001',
     'plugin update 1001 {"name": "p", "type": "auth", "version": "v2"}'),
    ('policy', 'created_at = now()', 'UPDATE runtime_catalog.policy SET namespace_id = 1002 WHERE namespace_id = 1001',
     'policy update 1001 {"name": "q"}'))
    AS tried (name, condition, statement, expected);

-- Who it was

CREATE FUNCTION pg_temp.author(accessor text, request_id text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('runtime_catalog.accessor', accessor, true),
            set_config('runtime_catalog.request_id', request_id, true);
    UPDATE runtime_catalog.runtime SET cpu_nanos = cpu_nanos + 1 WHERE namespace_id = 1002;
    RETURN (SELECT concat_ws(', ', coalesce(change.accessor, 'null'), coalesce(change.request_id, 'null'))
              FROM runtime_catalog.change AS change ORDER BY id DESC LIMIT 1);
END
$$;
SELECT is((SELECT string_agg(DISTINCT concat_ws(', ', coalesce(accessor, 'null'), coalesce(request_id, 'null')), '; ')
             FROM runtime_catalog.change WHERE xid = pg_current_xact_id()),
          'null, null', 'before the settings exist, neither accessor nor request');
SELECT is(pg_temp.author('an-accessor', 'a-request'), 'an-accessor, a-request', 'accessor and request of the transaction');
SELECT is(pg_temp.author('', ''), 'null, null', 'what an earlier transaction left of them is nobody');
SELECT is(pg_temp.author('an-accessor', ''), 'an-accessor, null', 'an accessor without request');
SET LOCAL SESSION AUTHORIZATION runtime_catalog_worker;
SET LOCAL runtime_catalog.namespace_id = '1002';
SELECT lives_ok('UPDATE runtime_catalog.runtime SET cpu_nanos = 0', 'the worker writes history that it cannot read');
RESET SESSION AUTHORIZATION;
SELECT results_eq('SELECT role_name = ''runtime_catalog_worker'', namespace_id FROM runtime_catalog.change ORDER BY id DESC LIMIT 1',
                  'VALUES (true, 1002::bigint)', 'it names the role that was logged in, not the one that owns the trigger');

-- A table whose key nobody knows is not written without history.

CREATE TABLE runtime_catalog.unknown (name text);
CREATE TRIGGER unknown_records AFTER INSERT ON runtime_catalog.unknown
    FOR EACH ROW EXECUTE FUNCTION runtime_catalog.record_change('name');
SELECT throws_ok('INSERT INTO runtime_catalog.unknown VALUES (''x'')', '20000', NULL, 'a table that record_change() does not know');
DROP TABLE runtime_catalog.unknown;

-- Always: also where rows arrive by replication or are loaded with session_replication_role

SET LOCAL session_replication_role = replica;
SELECT is(pg_temp.recorded(name, condition, statement), expected, 'replica: ' || statement)
  FROM (VALUES
    ('namespace', 'id = 1003', 'INSERT INTO runtime_catalog.namespace (id, path, parent_id) VALUES (1003, ''team-a/x/'', 1001)',
     'namespace insert 1003 {"path": "team-a/x/"}'),
    ('runtime', 'namespace_id = 1003', 'INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1003, ''container'', ''r'')',
     'runtime insert 1003 {"name": "r", "type": "container"}'),
    ('plugin', 'namespace_id = 1003', 'INSERT INTO runtime_catalog.plugin (namespace_id, type, name) VALUES (1003, ''auth'', ''p'')',
     'plugin insert 1003 {"name": "p", "type": "auth", "version": ""}'),
    ('policy', 'namespace_id = 1003', 'INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1003, ''p'', '''')',
     'policy insert 1003 {"name": "p"}'),
    ('token', 'namespace_id = 1003', 'INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies) VALUES (sha256(''r''), repeat(''r'', 24), 1003, ''{}'')',
     'token insert 1003 {"accessor": "rrrrrrrrrrrrrrrrrrrrrrrr"}'),
    ('token', 'namespace_id = 1003', 'UPDATE runtime_catalog.token SET period = 1 WHERE namespace_id = 1003',
     'token update 1003 {"accessor": "rrrrrrrrrrrrrrrrrrrrrrrr"}'),
    ('token', 'false', 'TRUNCATE runtime_catalog.token',   'token truncate'),
    ('policy', 'false', 'TRUNCATE runtime_catalog.policy', 'policy truncate'),
    ('plugin', 'false', 'TRUNCATE runtime_catalog.plugin', 'plugin truncate'),
    ('change', 'false', 'DELETE FROM runtime_catalog.change WHERE table_name = ''token''', 'change forget'))
    AS tried (name, condition, statement, expected);
SET LOCAL session_replication_role = origin;

-- TRUNCATE: a row for each table, also for those that it reaches by CASCADE

SELECT is(pg_temp.recorded('runtime', 'false', 'TRUNCATE runtime_catalog.runtime CASCADE'),
          E'runtime truncate\nplugin truncate', 'TRUNCATE runtime CASCADE');
CREATE TEMPORARY TABLE mark ON COMMIT DROP AS SELECT max(id) AS id FROM runtime_catalog.change;
TRUNCATE runtime_catalog.namespace CASCADE;
SELECT set_eq(
    $$SELECT concat_ws(' ', table_name, operation, namespace_id, key, old, new)
        FROM runtime_catalog.change WHERE id > (SELECT id FROM mark)$$,
    $$VALUES ('namespace truncate'), ('runtime truncate'), ('plugin truncate'), ('policy truncate'), ('token truncate')$$,
    'TRUNCATE namespace CASCADE');

-- Deleting history

SELECT is(pg_temp.recorded('change', 'false', statement), 'change forget', statement)
  FROM unnest(ARRAY['DELETE FROM runtime_catalog.change WHERE false',
                    'DELETE FROM runtime_catalog.change']) AS statement;
TRUNCATE runtime_catalog.change;
SELECT results_eq('SELECT table_name || operation = ''changeforget'', xid = pg_current_xact_id() FROM runtime_catalog.change',
                  'VALUES (true, true)', 'TRUNCATE leaves the one row that tells workers to drop everything');

SELECT finish();
ROLLBACK;
