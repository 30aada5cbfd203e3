-- Row-level security: what each role sees and writes, whatever the context holds.

BEGIN;
SET LOCAL search_path = pgtap, pg_catalog;
SELECT plan(75);
GRANT USAGE ON SCHEMA pgtap TO PUBLIC;

-- Which policies there are

CREATE FUNCTION pg_temp.condition(expression text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE expression
           WHEN 'true' THEN 'all'
           WHEN '(namespace_id = (NULLIF(current_setting(''runtime_catalog.namespace_id''::text, true), ''''::text))::bigint)' THEN 'context'
           ELSE expression END
$$;

SELECT policies_are('runtime_catalog', name, policies, name || ' has these policies')
  FROM (VALUES ('schema_version', '{}'::name[]),
               ('change',         '{}'),
               ('namespace',      '{namespace_operator,namespace_reader}'),
               ('runtime',        '{runtime_worker,runtime_reader}'),
               ('plugin',         '{plugin_worker,plugin_reader}'),
               ('policy',         '{policy_operator,policy_reader,policy_worker}'),
               ('token',          '{token_operator,token_reader}'))
       AS wanted (name, policies);
SELECT set_eq(
    $$SELECT policyname::text, permissive, cmd, array_to_string(roles, ' '), pg_temp.condition(qual) AS sees, pg_temp.condition(with_check) AS writes
        FROM pg_policies WHERE schemaname = 'runtime_catalog'$$,
    $$VALUES ('namespace_operator', 'PERMISSIVE', 'ALL',    'runtime_catalog_operator', 'all',     'all'),
             ('namespace_reader',   'PERMISSIVE', 'SELECT', 'runtime_catalog_reader',   'all',     NULL),
             ('runtime_worker',     'PERMISSIVE', 'ALL',    'runtime_catalog_worker',   'context', 'context'),
             ('runtime_reader',     'PERMISSIVE', 'SELECT', 'runtime_catalog_operator runtime_catalog_reader', 'all', NULL),
             ('plugin_worker',      'PERMISSIVE', 'ALL',    'runtime_catalog_worker',   'context', 'context'),
             ('plugin_reader',      'PERMISSIVE', 'SELECT', 'runtime_catalog_operator runtime_catalog_reader', 'all', NULL),
             ('policy_operator',    'PERMISSIVE', 'ALL',    'runtime_catalog_operator', 'all',     'all'),
             ('policy_reader',      'PERMISSIVE', 'SELECT', 'runtime_catalog_reader',   'all',     NULL),
             ('policy_worker',      'PERMISSIVE', 'ALL',    'runtime_catalog_worker',   'context', 'context'),
             ('token_operator',     'PERMISSIVE', 'ALL',    'runtime_catalog_operator', 'all',     'all'),
             ('token_reader',       'PERMISSIVE', 'SELECT', 'runtime_catalog_reader',   'all',     NULL)$$,
    'whom they are for, and what they let them see and write: all, or the namespace of the context');
SELECT set_eq(
    $$SELECT relname::text, relrowsecurity, relforcerowsecurity
        FROM pg_class WHERE relnamespace = 'runtime_catalog'::regnamespace AND relkind = 'r'$$,
    $$VALUES ('schema_version', false, false),
             ('change',         false, false),
             ('namespace',      true,  false),
             ('runtime',        true,  false),
             ('plugin',         true,  false),
             ('policy',         true,  false),
             ('token',          true,  false),
             ('audit_salt',     false, false)$$,
    'row-level security is on where rows have tenants, and never forced on the owner');

-- Two tenants

INSERT INTO runtime_catalog.namespace (id, path, parent_id)
SELECT wanted.id, wanted.path, root.id
  FROM runtime_catalog.namespace AS root,
       (VALUES (1001, 'team-a/'), (1002, 'team-b/')) AS wanted (id, path)
 WHERE root.path = '';
INSERT INTO runtime_catalog.runtime (namespace_id, type, name)
VALUES (1001, 'container', 'a1'), (1001, 'container', 'a2'), (1002, 'container', 'b1');
INSERT INTO runtime_catalog.plugin (namespace_id, type, name)
VALUES (1001, 'secret', 'a1'), (1001, 'secret', 'a2'), (1002, 'secret', 'b1');
INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1001, 'a1', ''), (1002, 'b1', '');
INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies)
VALUES (sha256('a'), repeat('a', 24), 1001, '{}'), (sha256('b'), repeat('b', 24), 1002, '{}');

-- What a role gets for a statement in a context: rows, or SQLSTATE. Leaves nothing behind.
CREATE FUNCTION pg_temp.attempt(role text, context text, statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    rows bigint;
BEGIN
    IF context IS NOT NULL THEN
        PERFORM set_config('runtime_catalog.namespace_id', context, true);
    END IF;
    PERFORM set_config('role', 'runtime_catalog_' || role, true);
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

-- Contexts in which the worker sees nothing and writes nothing. Unset comes before anything set
-- it in this session: later the setting is '' where it was null.

CREATE FUNCTION pg_temp.attempts(context text) RETURNS text
LANGUAGE sql AS $$
    SELECT string_agg(DISTINCT pg_temp.attempt('worker', context, statement), ', ')
      FROM unnest(ARRAY['SELECT * FROM runtime_catalog.runtime',
                        'SELECT name FROM runtime_catalog.plugin',
                        'UPDATE runtime_catalog.runtime SET cpu_nanos = 1',
                        'DELETE FROM runtime_catalog.runtime',
                        'SELECT * FROM runtime_catalog.policy',
                        'UPDATE runtime_catalog.policy SET text = ''x''',
                        'DELETE FROM runtime_catalog.policy',
                        'SELECT FROM (SELECT runtime_catalog.delete_policy(1001, ''a1'') AS it) AS done WHERE it',
                        'SELECT FROM (SELECT runtime_catalog.delete_runtime(1001, ''container'', ''a1'') AS it) AS done WHERE it'])
           AS statement
$$;
CREATE FUNCTION pg_temp.insertion(context text) RETURNS text
LANGUAGE sql AS $$
    SELECT string_agg(DISTINCT pg_temp.attempt('worker', context, statement), ', ')
      FROM unnest(ARRAY['INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1001, ''container'', ''new'')',
                        'INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1001, ''new'', '''')'])
           AS statement
$$;
SELECT is(pg_temp.attempts(NULL), '0', 'unset: sees and changes nothing');
SELECT is(pg_temp.insertion(NULL), '42501', 'unset: inserts nothing');
SELECT is(current_setting('runtime_catalog.namespace_id', true), NULL, 'it was unset indeed');

SELECT is(pg_temp.attempts(context), expected, description || ': sees and changes nothing')
  FROM (VALUES ('',                     '0',     'empty'),
               ('1003',                 '0',     'a namespace that does not exist'),
               ('0',                    '0',     'zero'),
               ('-1',                   '0',     'negative'),
               ('-1001',                '0',     'a number with the wrong sign'),
               ('9223372036854775807',  '0',     'the greatest number'),
               ('9223372036854775808',  '22003', 'too great a number'),
               ('team-a/',              '22P02', 'a path'),
               ('1001,1002',            '22P02', 'a list'),
               ('1001.0',               '22P02', 'a fraction'),
               ('1001 OR true',         '22P02', 'SQL'),
               ('null',                 '22P02', 'null in words'))
       AS tried (context, expected, description);
SELECT is(pg_temp.insertion(context), expected, description || ': inserts nothing')
  FROM (VALUES ('',                     '42501', 'empty'),
               ('1002',                 '42501', 'foreign'),
               ('1003',                 '42501', 'a namespace that does not exist'),
               ('0',                    '42501', 'zero'),
               ('-1001',                '42501', 'negative'),
               ('9223372036854775808',  '22003', 'too great a number'),
               ('team-a/',              '22P02', 'a path'))
       AS tried (context, expected, description);

-- One tenant's context

SELECT is(pg_temp.attempt('worker', context, statement), expected, format('%s: %s', context, statement))
  FROM (VALUES ('1001', 'SELECT * FROM runtime_catalog.runtime',                                      '2'),
               ('1002', 'SELECT * FROM runtime_catalog.runtime',                                      '1'),
               ('1001', 'SELECT * FROM runtime_catalog.runtime WHERE namespace_id = 1002',            '0'),
               ('1001', 'SELECT name FROM runtime_catalog.plugin',                                    '2'),
               ('1002', 'SELECT name FROM runtime_catalog.plugin',                                    '1'),
               ('1001', 'SELECT name FROM runtime_catalog.plugin WHERE namespace_id = 1002',          '0'),
               ('1001', 'UPDATE runtime_catalog.runtime SET cpu_nanos = 1',                           '2'),
               ('1001', 'UPDATE runtime_catalog.runtime SET cpu_nanos = 1 WHERE namespace_id = 1002', '0'),
               ('1001', 'DELETE FROM runtime_catalog.runtime',                                        '2'),
               ('1001', 'DELETE FROM runtime_catalog.runtime WHERE namespace_id = 1002',              '0'),
               ('1001', 'SELECT name FROM runtime_catalog.policy',                                    '1'),
               ('1001', 'SELECT name FROM runtime_catalog.policy WHERE namespace_id = 1002',          '0'),
               ('1001', 'UPDATE runtime_catalog.policy SET text = ''x''',                             '1'),
               ('1001', 'DELETE FROM runtime_catalog.policy WHERE namespace_id = 1002',               '0'),
               ('1001', 'DELETE FROM runtime_catalog.policy',                                         '1'),
               ('1001', 'INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1001, ''b1'', '''')', '1'),
               ('1001', 'INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1002, ''new'', '''')', '42501'),
               ('1001', 'INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1002, ''b1'', '''') '
                        'ON CONFLICT (namespace_id, name) DO UPDATE SET text = ''x''',                '42501'),
               ('1001', 'INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1001, ''container'', ''b1'')', '1'),
               ('1001', 'INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1002, ''container'', ''new'')', '42501'),
               ('1001', 'INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1002, ''container'', ''b1'') '
                        'ON CONFLICT DO NOTHING',                                                     '42501'),
               ('1001', 'INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1002, ''container'', ''b1'') '
                        'ON CONFLICT (namespace_id, type, name) DO UPDATE SET cpu_nanos = 1',         '42501'),
               ('1001', 'INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1001, ''container'', ''a1'') '
                        'ON CONFLICT (namespace_id, type, name) DO UPDATE SET cpu_nanos = 1',         '1'))
       AS tried (context, statement, expected);

-- The owner needs no context; operator and reader see all tenants, whatever the context.

SELECT is(pg_temp.attempt(role, context, format('SELECT namespace_id FROM runtime_catalog.%s WHERE namespace_id IN (1001, 1002)', name)),
          expected, format('%s in context %L sees %s rows of %s', role, context, expected, name))
  FROM (VALUES ('owner',    ''), ('owner', '1002'), ('operator', '1002'), ('reader', '1002')) AS asker (role, context),
       (VALUES ('runtime', '3'), ('plugin', '3'), ('policy', '2'), ('token', '2')) AS wanted (name, expected);
SELECT is(pg_temp.attempt('owner', '', 'DELETE FROM runtime_catalog.plugin WHERE namespace_id IN (1001, 1002)'), '3',
          'the owner writes without a context');

-- A foreign key sees what row-level security hides, and only within its tenant.

INSERT INTO runtime_catalog.plugin (namespace_id, type, name, runtime_type, runtime_name)
VALUES (1002, 'secret', 'b2', 'container', 'b1');
SELECT is(pg_temp.attempt('worker', '1002', 'DELETE FROM runtime_catalog.runtime'), '23503',
          'a runtime with plugins stays');
INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1001, 'container', 'b1');
SELECT is(pg_temp.attempt('worker', '1001', 'DELETE FROM runtime_catalog.runtime WHERE name = ''b1'''), '1',
          'the plugins of another tenant hold nothing here');

-- After a transaction that set the context, what is left of it is '', not null: still nothing.

SAVEPOINT before;
SET LOCAL runtime_catalog.namespace_id = '1001';
ROLLBACK TO before;
SELECT is(current_setting('runtime_catalog.namespace_id'), '', 'a context ends with its transaction');
SET LOCAL ROLE runtime_catalog_worker;
SELECT is((SELECT count(*) FROM runtime_catalog.runtime), 0::bigint, 'and what is left of it shows nothing');
RESET ROLE;

SELECT finish();
ROLLBACK;
