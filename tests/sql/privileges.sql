-- Who may do what: the full matrix, and attempts as each role.

BEGIN;
SET LOCAL search_path = pgtap, pg_catalog;
SELECT plan(245);

-- A role that nobody granted anything has what PUBLIC has.
CREATE ROLE runtime_catalog_stranger;

-- Tables. What is missing here must be missing there.

SELECT table_privs_are('runtime_catalog', name, 'runtime_catalog_' || role, rights,
                       format('%s on %s: %s', role, name, coalesce(nullif(array_to_string(rights, ', '), ''), 'nothing')))
  FROM (VALUES ('worker',   'schema_version', '{SELECT}'::text[]),
               ('worker',   'change',         '{}'),
               ('worker',   'namespace',      '{}'),
               ('worker',   'runtime',        '{SELECT,INSERT,DELETE}'),
               ('worker',   'plugin',         '{INSERT,DELETE}'),
               ('worker',   'policy',         '{SELECT,INSERT,DELETE}'),
               ('worker',   'token',          '{}'),
               ('operator', 'schema_version', '{SELECT}'),
               ('operator', 'change',         '{SELECT}'),
               ('operator', 'namespace',      '{SELECT,INSERT,UPDATE,DELETE}'),
               ('operator', 'runtime',        '{SELECT}'),
               ('operator', 'plugin',         '{SELECT}'),
               ('operator', 'policy',         '{SELECT,INSERT,UPDATE,DELETE}'),
               ('operator', 'token',          '{INSERT,DELETE}'),
               ('reader',   'schema_version', '{SELECT}'),
               ('reader',   'change',         '{SELECT}'),
               ('reader',   'namespace',      '{SELECT}'),
               ('reader',   'runtime',        '{SELECT}'),
               ('reader',   'plugin',         '{SELECT}'),
               ('reader',   'policy',         '{SELECT}'),
               ('reader',   'token',          '{}'),
               ('stranger', 'schema_version', '{}'),
               ('stranger', 'change',         '{}'),
               ('stranger', 'namespace',      '{}'),
               ('stranger', 'runtime',        '{}'),
               ('stranger', 'plugin',         '{}'),
               ('stranger', 'policy',         '{}'),
               ('stranger', 'token',          '{}'))
       AS wanted (role, name, rights);

-- Columns, where a right covers some of them only

SELECT set_eq(
    $$SELECT format('%s %s %s', replace(grantee::regrole::text, 'runtime_catalog_', ''), lower(privilege_type), relname),
             string_agg(attname, ' ' ORDER BY attnum)
        FROM pg_attribute
        JOIN pg_class ON pg_class.oid = attrelid,
             aclexplode(attacl)
       WHERE relnamespace = 'runtime_catalog'::regnamespace
       GROUP BY grantee, privilege_type, relname$$,
    $$VALUES ('worker update runtime',  'oci_runtime cgroup_parent cpu_nanos memory_bytes rootless updated_at'),
             ('worker update policy',   'text updated_at'),
             ('worker select plugin',   'namespace_id type name version command args sha256 oci_image runtime_type runtime_name'),
             ('worker update plugin',   'command args env sha256 oci_image runtime_type runtime_name updated_at'),
             ('operator update token',  'parent'),
             ('operator select token',  'accessor namespace_id policies parent display_name meta path created_at '
                                        'renewed_at expires_at renewable ttl explicit_max_ttl period uses_left used_up_at bound_cidrs'),
             ('reader select token',    'accessor namespace_id policies parent display_name meta path created_at '
                                        'renewed_at expires_at renewable ttl explicit_max_ttl period uses_left used_up_at bound_cidrs')$$,
    'these columns are granted one by one, never a hash');
SELECT column_privs_are('runtime_catalog', 'token', 'hash', 'runtime_catalog_' || role, rights, role || ' on a hash')
  FROM (VALUES ('worker',   '{}'::text[]),
               ('operator', '{INSERT}'),
               ('reader',   '{}'),
               ('stranger', '{}'))
       AS wanted (role, rights);

-- Functions

SELECT function_privs_are('runtime_catalog', name, arguments, 'runtime_catalog_' || role,
                          CASE WHEN role = ANY (callers) THEN '{EXECUTE}' ELSE '{}' END::text[],
                          format('%s %s %s', role, CASE WHEN role = ANY (callers) THEN 'calls' ELSE 'does not call' END, name))
  FROM (VALUES ('authenticate',      '{bytea,text,text,inet,text,boolean}'::text[], '{worker}'::text[]),
               ('delete_runtime',    '{bigint,text,text}',                          '{worker}'),
               ('list_policies',     '{}',                                          '{worker,operator}'),
               ('forget',            '{}',                                          '{operator}'),
               ('find_token',        '{bytea}',                                     '{operator}'),
               ('delete_policy',     '{bigint,text}',                               '{worker}'),
               ('delete_plugin',     '{bigint,text,text,text}',                     '{worker}'),
               ('describe_token',    '{bigint,bytea,bytea,text}',                   '{worker}'),
               ('policies_of_token', '{bigint,bytea,bytea,text}',                   '{worker}'),
               ('list_accessors',    '{bigint}',                                    '{worker}'),
               ('create_token',      '{bigint,text,bytea,text,json,boolean,text,text,jsonb,boolean,bigint,bigint,bigint,integer}',
                                                                                    '{worker}'),
               ('renew_token',       '{bigint,bytea,bytea,text,bigint,bigint}',     '{worker}'),
               ('revoke_token',      '{bigint,bytea,bytea,text,boolean}',           '{worker}'),
               ('tidy_tokens',       '{integer}',                                   '{worker,operator}'),
               ('describe_namespace', '{bigint,text,text}',                         '{worker}'),
               ('list_namespaces',   '{bigint,text}',                               '{worker}'),
               ('create_namespace',  '{bigint,text,jsonb,text}',                    '{worker}'),
               ('patch_namespace',   '{bigint,text,jsonb,text}',                    '{worker}'),
               ('delete_namespace',  '{bigint,text}',                               '{worker,operator}'),
               ('namespace_label',   '{bigint}',                                    '{operator}'),
               ('beyond_namespace',  '{text}',                                      '{operator}'),
               ('limit_runtimes',    '{}',                                          '{}'),
               ('begin_limit',       '{}',                                          '{}'),
               ('reach_token',       '{bigint,bytea,bytea,text}',                   '{}'),
               ('rfc3339',           '{"timestamp with time zone"}',                '{}'),
               ('token_is_live',     '{text}',                                      '{}'),
               ('record_change',     '{}',                                          '{}'),
               ('record_forgetting', '{}',                                          '{}'))
       AS wanted (name, arguments, callers),
       unnest('{worker,operator,reader,stranger}'::text[]) AS role;

-- Schema, sequences, database

SELECT schema_privs_are('runtime_catalog', 'runtime_catalog_' || role, rights, role || ' on the schema')
  FROM (VALUES ('worker',   '{USAGE}'::text[]),
               ('operator', '{USAGE}'),
               ('reader',   '{USAGE}'),
               ('stranger', '{}'))
       AS wanted (role, rights);
SELECT is((SELECT string_agg(rolname || ' on ' || relname, ', ')
             FROM pg_class, pg_roles
            WHERE relnamespace = 'runtime_catalog'::regnamespace AND relkind = 'S'
              AND rolname LIKE 'runtime\_catalog\_%' AND rolname <> 'runtime_catalog_owner'
              AND has_sequence_privilege(pg_roles.oid, pg_class.oid, 'USAGE, SELECT, UPDATE')),
          NULL, 'no role needs a right on a sequence');
SELECT is((SELECT string_agg(rolname, ', ')
             FROM pg_roles
            WHERE rolname LIKE 'runtime\_catalog\_%'
              AND has_database_privilege(oid, current_database(), 'CREATE')),
          'runtime_catalog_owner', 'the owner alone creates schemas');

-- Nobody beyond the four roles was granted anything, PUBLIC included, and nobody may pass a right on.

SELECT is((SELECT string_agg(DISTINCT format('%s on %s', CASE grantee WHEN 0 THEN 'public' ELSE grantee::regrole::text END, name), ', ')
             FROM (SELECT nspname, coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace WHERE nspname = 'runtime_catalog'
                    UNION ALL
                   SELECT relname, coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))
                     FROM pg_class WHERE relnamespace = 'runtime_catalog'::regnamespace
                    UNION ALL
                   SELECT attname, attacl
                     FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'runtime_catalog'::regnamespace
                    UNION ALL
                   SELECT proname, coalesce(proacl, acldefault('f', proowner))
                     FROM pg_proc WHERE pronamespace = 'runtime_catalog'::regnamespace) AS object (name, acl),
                  aclexplode(acl)
            WHERE grantee NOT IN ('runtime_catalog_owner'::regrole, 'runtime_catalog_worker'::regrole,
                                  'runtime_catalog_operator'::regrole, 'runtime_catalog_reader'::regrole)
               OR is_grantable AND grantee <> 'runtime_catalog_owner'::regrole),
          NULL, 'PUBLIC has nothing, and nobody passes a right on');

-- A function that the owner makes later is closed until somebody opens it.

SET LOCAL ROLE runtime_catalog_owner;
CREATE FUNCTION runtime_catalog.later() RETURNS void LANGUAGE sql AS '';
RESET ROLE;
SELECT function_privs_are('runtime_catalog', 'later', '{}', 'runtime_catalog_stranger', '{}', 'a new function is not PUBLIC''s');

-- Attempts

INSERT INTO runtime_catalog.namespace (id, path, parent_id)
SELECT 1001, 'team-a/', id FROM runtime_catalog.namespace WHERE path = '';
INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1001, 'container', 'used'), (1001, 'container', 'free');
INSERT INTO runtime_catalog.plugin (namespace_id, type, name, runtime_type, runtime_name)
VALUES (1001, 'secret', 'user', 'container', 'used');
INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1001, 'p', '');
INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies)
VALUES (sha256('t'), repeat('t', 24), 1001, '{p}');

-- What a role gets for a statement: rows, or SQLSTATE. Leaves nothing behind.
CREATE FUNCTION pg_temp.attempt(role text, statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    rows bigint;
BEGIN
    PERFORM set_config('role', 'runtime_catalog_' || role, true),
            set_config('runtime_catalog.namespace_id', '1001', true);
    EXECUTE statement;
    GET DIAGNOSTICS rows = ROW_COUNT;
    RAISE SQLSTATE 'TT000';
EXCEPTION
    WHEN SQLSTATE 'TT000' THEN
        RETURN rows;
    WHEN OTHERS THEN
        RETURN SQLSTATE;
END
$$;

SELECT is(pg_temp.attempt(role, statement), expected, format('%s: %s', role, statement))
  FROM (VALUES ('worker',   'SELECT * FROM runtime_catalog.runtime',                                                  '2'),
               ('worker',   'UPDATE runtime_catalog.runtime SET cpu_nanos = 1',                                       '2'),
               ('worker',   'UPDATE runtime_catalog.runtime SET name = ''x''',                                        '42501'),
               ('worker',   'UPDATE runtime_catalog.runtime SET namespace_id = 1',                                    '42501'),
               ('worker',   'UPDATE runtime_catalog.runtime SET created_at = now()',                                  '42501'),
               ('worker',   'DELETE FROM runtime_catalog.runtime WHERE name = ''free''',                              '1'),
               ('worker',   'DELETE FROM runtime_catalog.runtime WHERE name = ''used''',                              '23503'),
               ('worker',   'TRUNCATE runtime_catalog.runtime',                                                       '42501'),
               ('worker',   'SELECT name, version FROM runtime_catalog.plugin WHERE runtime_name = ''used''',         '1'),
               ('worker',   'SELECT env FROM runtime_catalog.plugin',                                                 '42501'),
               ('worker',   'SELECT command, args, sha256, oci_image FROM runtime_catalog.plugin',                    '1'),
               ('worker',   'INSERT INTO runtime_catalog.plugin (namespace_id, type, name) VALUES (1001, ''auth'', ''x'')', '1'),
               ('worker',   'DELETE FROM runtime_catalog.plugin',                                                     '1'),
               ('worker',   'SELECT accessor FROM runtime_catalog.token',                                             '42501'),
               ('worker',   'UPDATE runtime_catalog.token SET uses_left = 1',                                         '42501'),
               ('worker',   'INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies) '
                            'VALUES (sha256(''x''), repeat(''x'', 24), 1001, ''{root}'')',                            '42501'),
               ('worker',   'DELETE FROM runtime_catalog.token',                                                      '42501'),
               ('worker',   'SELECT runtime_catalog.reach_token(1001, NULL, NULL, repeat(''t'', 24))',                '42501'),
               ('worker',   'SELECT runtime_catalog.rfc3339(now())',                                                  '42501'),
               ('worker',   'SELECT runtime_catalog.tidy_tokens(1)',                                                  '1'),
               ('worker',   'SELECT * FROM runtime_catalog.policy',                                                   '1'),
               ('worker',   'INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1001, ''p'', ''x'') '
                            'ON CONFLICT (namespace_id, name) DO UPDATE SET text = excluded.text, updated_at = now()', '1'),
               ('worker',   'UPDATE runtime_catalog.policy SET name = ''x''',                                         '42501'),
               ('worker',   'UPDATE runtime_catalog.policy SET namespace_id = 1',                                     '42501'),
               ('worker',   'UPDATE runtime_catalog.policy SET created_at = now()',                                   '42501'),
               ('worker',   'DELETE FROM runtime_catalog.policy',                                                     '1'),
               ('worker',   'TRUNCATE runtime_catalog.policy',                                                        '42501'),
               ('worker',   'SELECT path FROM runtime_catalog.namespace',                                             '42501'),
               ('worker',   'SELECT id FROM runtime_catalog.change',                                                  '42501'),
               ('worker',   'INSERT INTO runtime_catalog.change (table_name, operation) VALUES (''x'', ''insert'')',  '42501'),
               ('worker',   'DELETE FROM runtime_catalog.change',                                                     '42501'),
               ('worker',   'SELECT runtime_catalog.forget()',                                                        '42501'),
               ('worker',   'SELECT runtime_catalog.token_is_live(repeat(''t'', 24))',                                '42501'),
               ('worker',   'SELECT * FROM runtime_catalog.list_policies()',                                          '1'),
               ('worker',   'SELECT * FROM runtime_catalog.authenticate(sha256(''t''), '''', '''', NULL, '''', true)', '1'),
               ('worker',   'SELECT max(version) FROM runtime_catalog.schema_version',                                '1'),
               ('worker',   'DELETE FROM runtime_catalog.schema_version',                                             '42501'),
               ('worker',   'ALTER TABLE runtime_catalog.runtime DISABLE TRIGGER runtime_records',                    '42501'),
               ('worker',   'ALTER TABLE runtime_catalog.runtime DISABLE ROW LEVEL SECURITY',                         '42501'),
               ('worker',   'CREATE TABLE runtime_catalog.mine ()',                                                   '42501'),
               ('worker',   'CREATE SCHEMA mine',                                                                     '42501'),
               ('worker',   'SET LOCAL session_replication_role = replica',                                           '42501'),
               ('operator', 'SELECT * FROM runtime_catalog.runtime WHERE namespace_id = 1001',                        '2'),
               ('operator', 'INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1001, ''container'', ''x'')', '42501'),
               ('operator', 'DELETE FROM runtime_catalog.runtime',                                                    '42501'),
               ('operator', 'INSERT INTO runtime_catalog.namespace (path, parent_id) VALUES (''team-a/x/'', 1001)',   '1'),
               ('operator', 'UPDATE runtime_catalog.namespace SET max_runtimes = 1 WHERE id = 1001',                  '1'),
               ('operator', 'DELETE FROM runtime_catalog.namespace WHERE id = 1001',                                  '23503'),
               ('operator', 'INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1001, ''p'', ''x'') '
                            'ON CONFLICT (namespace_id, name) DO UPDATE SET text = excluded.text RETURNING true',     '1'),
               ('operator', 'DELETE FROM runtime_catalog.policy WHERE namespace_id = 1001',                           '1'),
               ('operator', 'INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies) '
                            'VALUES (sha256(''x''), repeat(''x'', 24), 1001, ''{}'') RETURNING accessor',             '1'),
               ('operator', 'INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies) '
                            'VALUES (sha256(''x''), repeat(''x'', 24), 1001, ''{}'') RETURNING hash',                 '42501'),
               ('operator', 'SELECT hash FROM runtime_catalog.token',                                                 '42501'),
               ('operator', 'SELECT * FROM runtime_catalog.token',                                                    '42501'),
               ('operator', 'SELECT accessor FROM runtime_catalog.token WHERE hash = sha256(''t'')',                  '42501'),
               ('operator', 'SELECT accessor, policies FROM runtime_catalog.token WHERE namespace_id = 1001',         '1'),
               ('operator', 'UPDATE runtime_catalog.token SET policies = ''{root}''',                                 '42501'),
               ('operator', 'UPDATE runtime_catalog.token SET parent = NULL WHERE namespace_id = 1001',               '1'),
               ('operator', 'SELECT accessor FROM runtime_catalog.find_token(sha256(''t'')) AS accessor WHERE accessor IS NOT NULL', '1'),
               ('operator', 'SELECT accessor FROM runtime_catalog.find_token(sha256(''x'')) AS accessor WHERE accessor IS NOT NULL', '0'),
               ('worker',   'SELECT runtime_catalog.find_token(sha256(''t''))',                                       '42501'),
               ('reader',   'SELECT runtime_catalog.find_token(sha256(''t''))',                                       '42501'),
               ('operator', 'DELETE FROM runtime_catalog.token WHERE accessor = repeat(''t'', 24)',                   '1'),
               ('operator', 'SELECT runtime_catalog.tidy_tokens(1)',                                                  '1'),
               ('operator', 'SELECT runtime_catalog.describe_token(1001, NULL, NULL, repeat(''t'', 24))',             '42501'),
               ('operator', 'UPDATE runtime_catalog.token SET expires_at = NULL',                                     '42501'),
               ('operator', 'SELECT id FROM runtime_catalog.change WHERE namespace_id = 1001',                        '6'),
               ('operator', 'DELETE FROM runtime_catalog.change',                                                     '42501'),
               ('operator', 'SELECT * FROM runtime_catalog.authenticate(sha256(''t''), '''', '''', NULL, '''', true)', '42501'),
               ('operator', 'INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker) VALUES (9, ''x'', ''1.0.0'')', '42501'),
               ('operator', 'TRUNCATE runtime_catalog.policy',                                                        '42501'),
               ('reader',   'SELECT * FROM runtime_catalog.runtime WHERE namespace_id = 1001',                        '2'),
               ('reader',   'SELECT * FROM runtime_catalog.plugin WHERE namespace_id = 1001',                         '1'),
               ('reader',   'SELECT * FROM runtime_catalog.policy WHERE namespace_id = 1001',                         '1'),
               ('reader',   'SELECT * FROM runtime_catalog.namespace WHERE id = 1001',                                '1'),
               ('reader',   'SELECT * FROM runtime_catalog.change WHERE namespace_id = 1001',                         '6'),
               ('reader',   'SELECT accessor, uses_left FROM runtime_catalog.token WHERE namespace_id = 1001',        '1'),
               ('reader',   'SELECT hash FROM runtime_catalog.token',                                                 '42501'),
               ('reader',   'SELECT count(hash) FROM runtime_catalog.token',                                          '42501'),
               ('reader',   'SELECT token FROM runtime_catalog.token',                                                '42501'),
               ('reader',   'INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1001, ''x'', '''')', '42501'),
               ('reader',   'UPDATE runtime_catalog.runtime SET cpu_nanos = 1',                                       '42501'),
               ('reader',   'DELETE FROM runtime_catalog.token',                                                      '42501'),
               ('reader',   'SELECT runtime_catalog.forget()',                                                        '42501'),
               ('reader',   'SELECT * FROM runtime_catalog.list_policies()',                                          '42501'),
               ('stranger', 'SELECT * FROM runtime_catalog.runtime',                                                  '42501'),
               ('stranger', 'SELECT version FROM runtime_catalog.schema_version',                                     '42501'),
               ('stranger', 'SELECT runtime_catalog.forget()',                                                        '42501'),
               ('owner',    'SELECT hash FROM runtime_catalog.token WHERE namespace_id = 1001',                       '1'),
               ('owner',    'DELETE FROM runtime_catalog.change WHERE namespace_id = 1001',                           '6'))
       AS tried (role, statement, expected);

-- An error does not show to others what it is about.

CREATE FUNCTION pg_temp.detail(role text, statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    PERFORM set_config('role', 'runtime_catalog_' || role, true);
    EXECUTE statement;
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN detail;
END
$$;
SELECT is(pg_temp.detail('operator', statement), '', description)
  FROM (VALUES ('INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies) VALUES (sha256(''t''), repeat(''x'', 24), 1001, ''{}'')',
                'a hash that is there already is not shown'),
               ('INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies) VALUES (sha256(''x''), ''x'', 1001, ''{}'')',
                'nor that of a row that is refused'))
       AS tried (statement, description);

SELECT finish();
ROLLBACK;
