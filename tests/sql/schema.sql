-- The schema as a whole: which objects there are, whose they are, and that each is explained.

BEGIN;
SET LOCAL search_path = pgtap, pg_catalog;
SELECT plan(18);
GRANT USAGE ON SCHEMA pgtap TO PUBLIC;

-- Every object of the schema, as "kind name", and its owner

CREATE VIEW pg_temp.object (name, owner) AS
SELECT 'schema ' || nspname, nspowner::regrole::text
  FROM pg_namespace
 WHERE nspname = 'runtime_catalog'
 UNION ALL
SELECT CASE relkind WHEN 'r' THEN 'table ' WHEN 'i' THEN 'index ' WHEN 'S' THEN 'sequence ' ELSE relkind::text || ' ' END || relname,
       relowner::regrole::text
  FROM pg_class
 WHERE relnamespace = 'runtime_catalog'::regnamespace
 UNION ALL
SELECT format('function %s(%s)', proname, pg_get_function_identity_arguments(oid)), proowner::regrole::text
  FROM pg_proc
 WHERE pronamespace = 'runtime_catalog'::regnamespace
 UNION ALL
SELECT 'type ' || typname, typowner::regrole::text
  FROM pg_type
 WHERE typnamespace = 'runtime_catalog'::regnamespace AND typrelid = 0 AND typelem = 0;

SELECT set_eq(
    $$SELECT name FROM pg_temp.object WHERE name NOT LIKE 'index %'$$,
    $$VALUES ('schema runtime_catalog'),
             ('table schema_version'),
             ('table change'),
             ('table namespace'),
             ('table runtime'),
             ('table plugin'),
             ('table policy'),
             ('table token'),
             ('table audit_salt'),
             ('sequence change_id_seq'),
             ('sequence namespace_id_seq'),
             ('function record_change()'),
             ('function record_forgetting()'),
             ('function forget()'),
             ('function delete_runtime(namespace_id bigint, type text, name text)'),
             ('function list_policies(OUT namespace_path text, OUT name text, OUT text text)'),
             ('function authenticate(token_hash bytea, site text, named text, remote_address inet, request text, '
              'spend boolean, OUT accessor text, OUT token_namespace text, OUT namespace_id bigint, '
              'OUT address_allowed boolean, OUT policies json, OUT token_namespace_id bigint, OUT line text[], '
              'OUT ends_at bigint, OUT bound_cidrs cidr[], OUT display_name text, OUT meta jsonb, '
              'OUT issued_at bigint, OUT ttl bigint, OUT uses_left integer)'),
             ('function audit_salt()'),
             ('function spend_use(token_hash bytea)'),
             ('function find_token(token_hash bytea)'),
             ('function reach_token(namespace_id bigint, caller_hash bytea, target_hash bytea, target_accessor text)'),
             ('function rfc3339(moment timestamp with time zone)'),
             ('function describe_token(namespace_id bigint, caller_hash bytea, target_hash bytea, target_accessor text)'),
             ('function policies_of_token(namespace_id bigint, caller_hash bytea, target_hash bytea, target_accessor text)'),
             ('function list_accessors(namespace_id bigint)'),
             ('function create_token(namespace_id bigint, caller text, hash bytea, accessor text, policies json, '
              'orphan boolean, path text, display_name text, meta jsonb, renewable boolean, ttl bigint, '
              'explicit_max_ttl bigint, period bigint, uses integer)'),
             ('function renew_token(namespace_id bigint, caller_hash bytea, target_hash bytea, target_accessor text, '
              'increment bigint, max_ttl bigint, OUT refusal text, OUT ttl bigint, OUT wanted bigint, OUT bound bigint)'),
             ('function revoke_token(namespace_id bigint, caller_hash bytea, target_hash bytea, target_accessor text, '
              'keep_children boolean)'),
             ('function tidy_tokens(batch integer)'),
             ('function tidy_namespace(namespace_id bigint, batch integer)'),
             ('function delete_policy(namespace_id bigint, name text)'),
             ('function delete_plugin(namespace_id bigint, type text, name text, version text)'),
             ('function namespace_label(id bigint)'),
             ('function describe_namespace(namespace_id bigint, name text, site text)'),
             ('function list_namespaces(namespace_id bigint, site text)'),
             ('function create_namespace(namespace_id bigint, name text, custom_metadata jsonb, site text)'),
             ('function patch_namespace(namespace_id bigint, name text, patch jsonb, site text)'),
             ('function delete_namespace(namespace_id bigint, name text, OUT existed boolean, OUT holds text)'),
             ('function beyond_namespace(path text)'),
             ('function limit_runtimes()'),
             ('function follow_changes(since pg_snapshot, OUT table_name text, OUT namespace_id bigint, OUT key jsonb, '
              'OUT xid xid8, OUT id bigint)'),
             ('function begin_limit()'),
             ('function token_is_live(accessor text)')$$,
    'the schema holds these objects, and indexes');
SELECT is((SELECT string_agg(name, ', ') FROM pg_temp.object WHERE owner <> 'runtime_catalog_owner'),
          NULL, 'the owner owns all of it');

-- Explained, named

SELECT isnt(obj_description('runtime_catalog'::regnamespace, 'pg_namespace'), NULL, 'the schema has a comment');
SELECT is((SELECT string_agg(relname, ', ')
             FROM pg_class
            WHERE relnamespace = 'runtime_catalog'::regnamespace AND relkind = 'r'
              AND obj_description(oid, 'pg_class') IS NULL),
          NULL, 'every table has a comment');
SELECT is((SELECT string_agg(attrelid::regclass || '.' || attname, ', ')
             FROM pg_attribute
             JOIN pg_class ON pg_class.oid = attrelid
            WHERE relnamespace = 'runtime_catalog'::regnamespace AND relkind = 'r' AND attnum > 0
              AND NOT attisdropped AND col_description(attrelid, attnum) IS NULL),
          NULL, 'every column has a comment');
SELECT is((SELECT string_agg(proname, ', ')
             FROM pg_proc
            WHERE pronamespace = 'runtime_catalog'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL),
          NULL, 'every function has a comment');
SELECT is((SELECT string_agg(conname, ', ')
             FROM pg_constraint
             JOIN pg_class ON pg_class.oid = conrelid
            WHERE relnamespace = 'runtime_catalog'::regnamespace
              AND NOT (starts_with(conname, relname || '_')
                       AND conname ~ CASE contype WHEN 'p' THEN '_pkey$' WHEN 'u' THEN '_key$'
                                                  WHEN 'f' THEN '_fkey$' WHEN 'c' THEN '_check$' END)),
          NULL, 'every constraint is named after its table and what it is');

-- Every text is compared byte by byte, or a name that is unique here were a duplicate there

SELECT is((SELECT string_agg(attrelid::regclass || '.' || attname, ', ')
             FROM pg_attribute
             JOIN pg_class     ON pg_class.oid = attrelid
             JOIN pg_collation ON pg_collation.oid = attcollation
            WHERE relnamespace = 'runtime_catalog'::regnamespace AND relkind = 'r' AND attnum > 0 AND collname <> 'C'),
          NULL, 'every text is of collation C');

-- The columns of every foreign key lead an index of the table that has it

SELECT is((SELECT string_agg(conname, ', ')
             FROM pg_constraint
             JOIN pg_class ON pg_class.oid = conrelid
            WHERE relnamespace = 'runtime_catalog'::regnamespace AND contype = 'f'
              AND NOT EXISTS (SELECT
                                FROM pg_index
                               WHERE indrelid = conrelid
                                 AND (indkey::int2[])[0:cardinality(conkey) - 1] = conkey)),
          NULL, 'every foreign key has an index behind it');
SELECT set_eq(
    $$SELECT conname::text, pg_get_constraintdef(oid)
        FROM pg_constraint WHERE contype = 'f' AND connamespace = 'runtime_catalog'::regnamespace$$,
    $$VALUES ('namespace_parent_fkey',  'FOREIGN KEY (parent_id, parent_path) REFERENCES runtime_catalog.namespace(id, path) MATCH FULL ON DELETE RESTRICT'),
             ('runtime_namespace_fkey', 'FOREIGN KEY (namespace_id) REFERENCES runtime_catalog.namespace(id) ON DELETE RESTRICT'),
             ('plugin_namespace_fkey',  'FOREIGN KEY (namespace_id) REFERENCES runtime_catalog.namespace(id) ON DELETE RESTRICT'),
             ('plugin_runtime_fkey',    'FOREIGN KEY (namespace_id, runtime_type, runtime_name) REFERENCES runtime_catalog.runtime(namespace_id, type, name) ON DELETE RESTRICT'),
             ('policy_namespace_fkey',  'FOREIGN KEY (namespace_id) REFERENCES runtime_catalog.namespace(id) ON DELETE RESTRICT'),
             ('token_namespace_fkey',   'FOREIGN KEY (namespace_id) REFERENCES runtime_catalog.namespace(id) ON DELETE RESTRICT'),
             ('token_parent_fkey',      'FOREIGN KEY (parent) REFERENCES runtime_catalog.token(accessor) ON DELETE CASCADE')$$,
    'what refers to what, and what goes or stays with it');

-- Functions

SELECT set_eq(
    $$SELECT proname::text, lanname::text, prosecdef, provolatile::text, proparallel::text
        FROM pg_proc
        JOIN pg_language ON pg_language.oid = prolang
       WHERE pronamespace = 'runtime_catalog'::regnamespace$$,
    $$VALUES ('record_change',     'plpgsql', true,  'v', 'u'),
             ('record_forgetting', 'plpgsql', true,  'v', 'u'),
             ('forget',            'sql',     true,  'v', 'u'),
             ('delete_runtime',    'sql',     false, 'v', 'u'),
             ('list_policies',     'sql',     true,  's', 'u'),
             ('find_token',        'sql',     true,  's', 'u'),
             ('authenticate',      'plpgsql', true,  's', 'u'),
             ('spend_use',         'sql',     true,  'v', 'u'),
             ('audit_salt',        'sql',     true,  's', 'u'),
             ('reach_token',       'sql',     false, 's', 'u'),
             ('rfc3339',           'sql',     false, 's', 'u'),
             ('describe_token',    'sql',     true,  'v', 'u'),
             ('policies_of_token', 'sql',     true,  's', 'u'),
             ('list_accessors',    'sql',     true,  's', 'u'),
             ('create_token',      'sql',     true,  'v', 'u'),
             ('renew_token',       'plpgsql', true,  'v', 'u'),
             ('revoke_token',      'plpgsql', true,  'v', 'u'),
             ('tidy_tokens',       'sql',     true,  'v', 'u'),
             ('tidy_namespace',    'sql',     true,  'v', 'u'),
             ('delete_policy',     'sql',     false, 'v', 'u'),
             ('delete_plugin',     'sql',     false, 'v', 'u'),
             ('namespace_label',   'sql',     false, 'i', 'u'),
             ('describe_namespace', 'sql',    true,  's', 'u'),
             ('list_namespaces',   'sql',     true,  's', 'u'),
             ('create_namespace',  'plpgsql', true,  'v', 'u'),
             ('patch_namespace',   'plpgsql', true,  'v', 'u'),
             ('delete_namespace',  'plpgsql', true,  'v', 'u'),
             ('beyond_namespace',  'sql',     false, 'i', 'u'),
             ('limit_runtimes',    'plpgsql', true,  'v', 'u'),
             ('begin_limit',       'plpgsql', true,  'v', 'u'),
             ('follow_changes',    'plpgsql', true,  's', 'u'),
             ('token_is_live',     'sql',     true,  's', 'u')$$,
    'which functions act for the owner, and which are volatile');
SELECT is((SELECT string_agg(proname, ', ')
             FROM pg_proc
            WHERE pronamespace = 'runtime_catalog'::regnamespace
              AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)),
          NULL, 'every function fixes its search_path');

-- list_policies

INSERT INTO runtime_catalog.namespace (id, path, parent_id)
SELECT 1001, 'team-a/', id FROM runtime_catalog.namespace WHERE path = '';
INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1001, 'b', 'B'), (1001, 'a', 'A');
INSERT INTO runtime_catalog.policy (namespace_id, name, text)
SELECT id, 'z', 'Z' FROM runtime_catalog.namespace WHERE path = '';
SET LOCAL ROLE runtime_catalog_worker;
SELECT is((SELECT string_agg(namespace_path || name || '=' || text, ' ' ORDER BY ordinality)
             FROM runtime_catalog.list_policies() WITH ORDINALITY),
          'z=Z team-a/a=A team-a/b=B', 'list_policies yields every policy of every namespace, in order');
RESET ROLE;

-- forget

CREATE TEMPORARY TABLE highest ON COMMIT DROP AS SELECT max(id) AS id FROM runtime_catalog.change;
SET LOCAL ROLE runtime_catalog_operator;
SELECT lives_ok('SELECT runtime_catalog.forget()', 'the operator may call forget');
RESET ROLE;
SELECT results_eq(
    $$SELECT table_name || ' ' || operation = 'change forget', xid = pg_current_xact_id(), role_name = session_user,
             namespace_id IS NULL, key IS NULL, old IS NULL, new IS NULL
        FROM runtime_catalog.change WHERE id > (SELECT id FROM highest)$$,
    'VALUES (true, true, true, true, true, true, true)', 'it leaves one row that names nothing');

-- Which trigger fires, when, and what it calls; all of them always

SELECT set_eq(
    $$SELECT definition[1], replace(definition[2], 'runtime_catalog.', '') AS fires, replace(definition[3], 'runtime_catalog.', '') AS calls, tgenabled::text
        FROM pg_trigger
        JOIN pg_class ON pg_class.oid = tgrelid,
             regexp_match(pg_get_triggerdef(pg_trigger.oid),
                          '^CREATE TRIGGER (\S+) (.* FOR EACH \S+)(?: WHEN .*)? EXECUTE FUNCTION (.*)$') AS definition
       WHERE relnamespace = 'runtime_catalog'::regnamespace AND NOT tgisinternal$$,
    $$VALUES
    ('schema_version_forgets',     'AFTER INSERT ON schema_version FOR EACH STATEMENT',          'record_forgetting()',                      'A'),
    ('change_forgets',             'AFTER DELETE OR TRUNCATE ON change FOR EACH STATEMENT',      'record_forgetting()',                      'A'),
    ('namespace_limit',            'BEFORE UPDATE OF max_runtimes ON namespace FOR EACH ROW',    'begin_limit()',                            'A'),
    ('namespace_records',          'AFTER INSERT OR DELETE OR UPDATE ON namespace FOR EACH ROW', 'record_change(''path'')',                  'A'),
    ('namespace_records_truncate', 'AFTER TRUNCATE ON namespace FOR EACH STATEMENT',             'record_change()',                          'A'),
    ('runtime_limit',              'AFTER INSERT OR UPDATE OF namespace_id ON runtime FOR EACH ROW', 'limit_runtimes()',                     'A'),
    ('runtime_records',            'AFTER INSERT OR DELETE OR UPDATE ON runtime FOR EACH ROW',   'record_change(''type'', ''name'')',        'A'),
    ('runtime_records_truncate',   'AFTER TRUNCATE ON runtime FOR EACH STATEMENT',               'record_change()',                          'A'),
    ('plugin_records',             'AFTER INSERT OR DELETE OR UPDATE ON plugin FOR EACH ROW',    'record_change(''type'', ''name'', ''version'')', 'A'),
    ('plugin_records_truncate',    'AFTER TRUNCATE ON plugin FOR EACH STATEMENT',                'record_change()',                          'A'),
    ('policy_records',             'AFTER INSERT OR DELETE OR UPDATE ON policy FOR EACH ROW',    'record_change(''name'')',                  'A'),
    ('policy_records_truncate',    'AFTER TRUNCATE ON policy FOR EACH STATEMENT',                'record_change()',                          'A'),
    ('token_records',              'AFTER INSERT OR DELETE ON token FOR EACH ROW',               'record_change(''accessor'')',              'A'),
    ('token_records_update',       'AFTER UPDATE ON token FOR EACH ROW',                         'record_change(''accessor'')',              'A'),
    ('token_records_truncate',     'AFTER TRUNCATE ON token FOR EACH STATEMENT',                 'record_change()',                          'A')$$,
    'these triggers there are');
SELECT is((SELECT string_agg(attname, ', ' ORDER BY attnum)
             FROM pg_attribute
            WHERE attrelid = 'runtime_catalog.token'::regclass AND attnum > 0 AND NOT attisdropped
              AND strpos((SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'token_records_update'),
                         format('(old.%1$s IS DISTINCT FROM new.%1$s)', attname)) = 0),
          'uses_left, used_up_at', 'a change of any column of token but these is history');
SELECT is((SELECT string_agg(relname, ', ')
             FROM pg_class
            WHERE relnamespace = 'runtime_catalog'::regnamespace AND relkind = 'r'
              AND relname NOT IN ('schema_version', 'change', 'audit_salt')
              AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = pg_class.oid AND NOT tgisinternal)),
          NULL, 'no table of the catalog is without history');

SELECT finish();
ROLLBACK;
