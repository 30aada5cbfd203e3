-- Who may do what: the full matrix of role × object × right, and attempts as each role.

BEGIN;
SET LOCAL search_path = pgtap, pg_catalog;
SELECT plan(210);

-- A role that nobody granted anything has what PUBLIC has.
CREATE ROLE runtime_catalog_stranger;

-- The rights that there are, in the letters in which \dp shows them

CREATE TEMPORARY TABLE existing (kind, place, letter, privilege) ON COMMIT DROP AS
VALUES ('database', 1, 'c', 'CONNECT'), ('database', 2, 'T', 'TEMPORARY'),  ('database', 3, 'C', 'CREATE'),
       ('schema',   1, 'U', 'USAGE'),   ('schema',   2, 'C', 'CREATE'),
       ('table',    1, 'a', 'INSERT'),  ('table',    2, 'r', 'SELECT'),     ('table',    3, 'w', 'UPDATE'),
       ('table',    4, 'd', 'DELETE'),  ('table',    5, 'D', 'TRUNCATE'),   ('table',    6, 'x', 'REFERENCES'),
       ('table',    7, 't', 'TRIGGER'),
       ('column',   1, 'a', 'INSERT'),  ('column',   2, 'r', 'SELECT'),     ('column',   3, 'w', 'UPDATE'),
       ('column',   4, 'x', 'REFERENCES'),
       ('sequence', 1, 'U', 'USAGE'),   ('sequence', 2, 'r', 'SELECT'),     ('sequence', 3, 'w', 'UPDATE'),
       ('function', 1, 'X', 'EXECUTE');

-- The objects that there are

CREATE VIEW pg_temp.object (kind, name, oid, attnum) AS
SELECT 'database', 'database', oid, NULL::smallint
  FROM pg_database
 WHERE datname = current_database()
 UNION ALL
SELECT 'schema', 'schema ' || nspname, oid, NULL
  FROM pg_namespace
 WHERE nspname = 'runtime_catalog'
 UNION ALL
SELECT CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END,
       CASE relkind WHEN 'S' THEN 'sequence ' ELSE 'table ' END || relname, oid, NULL
  FROM pg_class
 WHERE relnamespace = 'runtime_catalog'::regnamespace AND relkind NOT IN ('i', 'I')
 UNION ALL
SELECT 'column', relname || '.' || attname, attrelid, attnum
  FROM pg_attribute
  JOIN pg_class ON pg_class.oid = attrelid
 WHERE relnamespace = 'runtime_catalog'::regnamespace AND relkind NOT IN ('i', 'I', 'S') AND attnum > 0 AND NOT attisdropped
 UNION ALL
SELECT 'function', format('%s(%s)', proname, oidvectortypes(proargtypes)), oid, NULL
  FROM pg_proc
 WHERE pronamespace = 'runtime_catalog'::regnamespace;

CREATE FUNCTION pg_temp.rights(role text, asked pg_temp.object) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(letter, '' ORDER BY place), '')
      FROM pg_temp.existing
     WHERE kind = asked.kind
       AND CASE kind
           WHEN 'database' THEN has_database_privilege('runtime_catalog_' || role, asked.oid, privilege)
           WHEN 'schema'   THEN has_schema_privilege('runtime_catalog_' || role, asked.oid, privilege)
           WHEN 'table'    THEN has_table_privilege('runtime_catalog_' || role, asked.oid, privilege)
           WHEN 'column'   THEN has_column_privilege('runtime_catalog_' || role, asked.oid, asked.attnum, privilege)
           WHEN 'sequence' THEN has_sequence_privilege('runtime_catalog_' || role, asked.oid, privilege)
           WHEN 'function' THEN has_function_privilege('runtime_catalog_' || role, asked.oid, privilege)
           END
$$;

-- What each role has. A right on a table covers its columns.

CREATE TEMPORARY TABLE wanted (owner, worker, operator, reader, stranger, name) ON COMMIT DROP AS
SELECT *
  FROM (VALUES
       ('cTC',     'cT',   'cT',   'cT',  'cT',  'database'),
       ('UC',      'U',    'U',    'U',   '',    'schema runtime_catalog'),

       ('arwdDxt', 'r',    'r',    'r',   '',    'table schema_version'),
       ('arwdDxt', '',     'r',    'r',   '',    'table change'),
       ('arwdDxt', '',     'ard',  'r',   '',    'table namespace'),
       ('arwdDxt', 'ard',  'r',    'r',   '',    'table runtime'),
       ('arwdDxt', 'ad',   'r',    'r',   '',    'table plugin'),
       ('arwdDxt', 'ard',  'ard',  'r',   '',    'table policy'),
       ('arwdDxt', '',     'ad',   '',    '',    'table token'),
       ('arwdDxt', '',     '',     '',    '',    'table audit_salt'),

       ('arwx',    'r',    'r',    'r',   '',    'schema_version.version'),
       ('arwx',    'r',    'r',    'r',   '',    'schema_version.name'),
       ('arwx',    'r',    'r',    'r',   '',    'schema_version.oldest_worker'),
       ('arwx',    'r',    'r',    'r',   '',    'schema_version.checksum'),
       ('arwx',    'r',    'r',    'r',   '',    'schema_version.applied_at'),
       ('arwx',    'r',    'r',    'r',   '',    'schema_version.applied_by'),

       ('arwx',    '',     'r',    'r',   '',    'change.id'),
       ('arwx',    '',     'r',    'r',   '',    'change.xid'),
       ('arwx',    '',     'r',    'r',   '',    'change.changed_at'),
       ('arwx',    '',     'r',    'r',   '',    'change.table_name'),
       ('arwx',    '',     'r',    'r',   '',    'change.operation'),
       ('arwx',    '',     'r',    'r',   '',    'change.namespace_id'),
       ('arwx',    '',     'r',    'r',   '',    'change.key'),
       ('arwx',    '',     'r',    'r',   '',    'change.old'),
       ('arwx',    '',     'r',    'r',   '',    'change.new'),
       ('arwx',    '',     'r',    'r',   '',    'change.accessor'),
       ('arwx',    '',     'r',    'r',   '',    'change.request_id'),
       ('arwx',    '',     'r',    'r',   '',    'change.role_name'),

       ('arwx',    '',     'ar',   'r',   '',    'namespace.id'),
       ('arwx',    '',     'ar',   'r',   '',    'namespace.path'),
       ('arwx',    '',     'ar',   'r',   '',    'namespace.parent_id'),
       ('arwx',    '',     'ar',   'r',   '',    'namespace.parent_path'),
       ('arwx',    '',     'arw',  'r',   '',    'namespace.max_runtimes'),
       ('arwx',    '',     'ar',   'r',   '',    'namespace.created_at'),
       ('arwx',    '',     'arw',  'r',   '',    'namespace.updated_at'),
       ('arwx',    '',     'arw',  'r',   '',    'namespace.custom_metadata'),

       ('arwx',    'ar',   'r',    'r',   '',    'runtime.namespace_id'),
       ('arwx',    'ar',   'r',    'r',   '',    'runtime.type'),
       ('arwx',    'ar',   'r',    'r',   '',    'runtime.name'),
       ('arwx',    'arw',  'r',    'r',   '',    'runtime.oci_runtime'),
       ('arwx',    'arw',  'r',    'r',   '',    'runtime.cgroup_parent'),
       ('arwx',    'arw',  'r',    'r',   '',    'runtime.cpu_nanos'),
       ('arwx',    'arw',  'r',    'r',   '',    'runtime.memory_bytes'),
       ('arwx',    'arw',  'r',    'r',   '',    'runtime.rootless'),
       ('arwx',    'ar',   'r',    'r',   '',    'runtime.created_at'),
       ('arwx',    'arw',  'r',    'r',   '',    'runtime.updated_at'),

       ('arwx',    'ar',   'r',    'r',   '',    'plugin.namespace_id'),
       ('arwx',    'ar',   'r',    'r',   '',    'plugin.type'),
       ('arwx',    'ar',   'r',    'r',   '',    'plugin.name'),
       ('arwx',    'ar',   'r',    'r',   '',    'plugin.version'),
       ('arwx',    'arw',  'r',    'r',   '',    'plugin.command'),
       ('arwx',    'arw',  'r',    'r',   '',    'plugin.args'),
       ('arwx',    'aw',   'r',    'r',   '',    'plugin.env'),
       ('arwx',    'arw',  'r',    'r',   '',    'plugin.sha256'),
       ('arwx',    'arw',  'r',    'r',   '',    'plugin.oci_image'),
       ('arwx',    'arw',  'r',    'r',   '',    'plugin.runtime_type'),
       ('arwx',    'arw',  'r',    'r',   '',    'plugin.runtime_name'),
       ('arwx',    'a',    'r',    'r',   '',    'plugin.created_at'),
       ('arwx',    'aw',   'r',    'r',   '',    'plugin.updated_at'),

       ('arwx',    'ar',   'ar',   'r',   '',    'policy.namespace_id'),
       ('arwx',    'ar',   'ar',   'r',   '',    'policy.name'),
       ('arwx',    'arw',  'arw',  'r',   '',    'policy.text'),
       ('arwx',    'ar',   'ar',   'r',   '',    'policy.created_at'),
       ('arwx',    'arw',  'arw',  'r',   '',    'policy.updated_at'),

       ('arwx',    '',     'a',    '',    '',    'token.hash'),
       ('arwx',    '',     'ar',   'r',   '',    'token.accessor'),
       ('arwx',    '',     'ar',   'r',   '',    'token.namespace_id'),
       ('arwx',    '',     'ar',   'r',   '',    'token.policies'),
       ('arwx',    '',     'arw',  'r',   '',    'token.parent'),
       ('arwx',    '',     'ar',   'r',   '',    'token.display_name'),
       ('arwx',    '',     'ar',   'r',   '',    'token.meta'),
       ('arwx',    '',     'ar',   'r',   '',    'token.path'),
       ('arwx',    '',     'ar',   'r',   '',    'token.created_at'),
       ('arwx',    '',     'ar',   'r',   '',    'token.renewed_at'),
       ('arwx',    '',     'ar',   'r',   '',    'token.expires_at'),
       ('arwx',    '',     'ar',   'r',   '',    'token.renewable'),
       ('arwx',    '',     'ar',   'r',   '',    'token.ttl'),
       ('arwx',    '',     'ar',   'r',   '',    'token.explicit_max_ttl'),
       ('arwx',    '',     'ar',   'r',   '',    'token.period'),
       ('arwx',    '',     'ar',   'r',   '',    'token.uses_left'),
       ('arwx',    '',     'ar',   'r',   '',    'token.used_up_at'),
       ('arwx',    '',     'ar',   'r',   '',    'token.bound_cidrs'),

       ('arwx',    '',     '',     '',    '',    'audit_salt.id'),
       ('arwx',    '',     '',     '',    '',    'audit_salt.salt'),
       ('arwx',    '',     '',     '',    '',    'audit_salt.created_at'),

       ('Urw',     '',     '',     '',    '',    'sequence change_id_seq'),
       ('Urw',     '',     '',     '',    '',    'sequence namespace_id_seq'),

       ('X',       '',     '',     '',    '',    'record_change()'),
       ('X',       '',     'X',    '',    '',    'forget()'),
       ('X',       '',     '',     '',    '',    'record_forgetting()'),
       ('X',       'X',    '',     '',    '',    'delete_runtime(bigint, text, text)'),
       ('X',       'X',    'X',    '',    '',    'list_policies()'),
       ('X',       '',     'X',    '',    '',    'find_token(bytea)'),
       ('X',       'X',    '',     '',    '',    'authenticate(bytea, text, text, inet, text, boolean)'),
       ('X',       '',     '',     '',    '',    'spend_use(bytea)'),
       ('X',       '',     '',     '',    '',    'token_is_live(text)'),
       ('X',       '',     '',     '',    '',    'reach_token(bigint, bytea, bytea, text)'),
       ('X',       '',     '',     '',    '',    'rfc3339(timestamp with time zone)'),
       ('X',       'X',    '',     '',    '',    'describe_token(bigint, bytea, bytea, text)'),
       ('X',       'X',    '',     '',    '',    'policies_of_token(bigint, bytea, bytea, text)'),
       ('X',       'X',    '',     '',    '',    'list_accessors(bigint)'),
       ('X',       'X',    '',     '',    '',    'create_token(bigint, text, bytea, text, json, boolean, text, text, jsonb, boolean, bigint, bigint, bigint, integer)'),
       ('X',       'X',    '',     '',    '',    'renew_token(bigint, bytea, bytea, text, bigint, bigint)'),
       ('X',       'X',    '',     '',    '',    'revoke_token(bigint, bytea, bytea, text, boolean)'),
       ('X',       'X',    'X',    '',    '',    'tidy_tokens(integer)'),
       ('X',       'X',    '',     '',    '',    'tidy_namespace(bigint, integer)'),
       ('X',       'X',    '',     '',    '',    'delete_policy(bigint, text)'),
       ('X',       'X',    '',     '',    '',    'delete_plugin(bigint, text, text, text)'),
       ('X',       '',     'X',    '',    '',    'namespace_label(bigint)'),
       ('X',       'X',    '',     '',    '',    'describe_namespace(bigint, text, text)'),
       ('X',       'X',    '',     '',    '',    'list_namespaces(bigint, text)'),
       ('X',       'X',    '',     '',    '',    'create_namespace(bigint, text, jsonb, text)'),
       ('X',       'X',    '',     '',    '',    'patch_namespace(bigint, text, jsonb, text)'),
       ('X',       'X',    'X',    '',    '',    'delete_namespace(bigint, text)'),
       ('X',       '',     'X',    '',    '',    'beyond_namespace(text)'),
       ('X',       '',     '',     '',    '',    'limit_runtimes()'),
       ('X',       '',     '',     '',    '',    'begin_limit()'),
       ('X',       'X',    '',     '',    '',    'follow_changes(pg_snapshot)'),
       ('X',       'X',    'X',    '',    '',    'audit_salt()')
       ) AS matrix;

SELECT is(concat_ws(', ', pg_temp.rights('owner', object), pg_temp.rights('worker', object), pg_temp.rights('operator', object),
                    pg_temp.rights('reader', object), pg_temp.rights('stranger', object)),
          concat_ws(', ', owner, worker, operator, reader, stranger), name || ': owner, worker, operator, reader, stranger')
  FROM pg_temp.wanted
  LEFT JOIN pg_temp.object USING (name);
SELECT set_eq('SELECT name FROM pg_temp.object', 'SELECT name FROM pg_temp.wanted', 'every object is in the matrix');
SELECT diag(format('%s cells', 5 * count(*))) FROM pg_temp.object JOIN pg_temp.existing USING (kind);

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

-- Attempts. What else a role must not do, and needs a connection of its own to be tried: tests/e2e/roles.py

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
               ('worker',   'SELECT runtime_catalog.tidy_namespace(1001, 1)',                                         '1'),
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
