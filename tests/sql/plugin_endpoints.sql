-- Plugins over the API: what the worker may do with the table plugin, delete_plugin(), and the
-- worker's statements around them.

BEGIN;
SET LOCAL search_path = pgtap, pg_catalog;
SELECT plan(90);

-- Rights

SELECT set_eq(
    $$SELECT privilege_type::text, string_agg(attname, ' ' ORDER BY attnum)
        FROM pg_attribute, aclexplode(attacl)
       WHERE attrelid = 'runtime_catalog.plugin'::regclass AND grantee = 'runtime_catalog_worker'::regrole
       GROUP BY privilege_type$$,
    $$VALUES ('SELECT', 'namespace_id type name version command args sha256 oci_image runtime_type runtime_name'),
             ('UPDATE', 'command args env sha256 oci_image runtime_type runtime_name updated_at')$$,
    'the worker reads all but env and the times, and writes all but the key');
SELECT table_privs_are('runtime_catalog', 'plugin', 'runtime_catalog_worker', '{INSERT,DELETE}', 'it inserts and deletes whole rows');
SELECT function_privs_are('runtime_catalog', 'delete_plugin', '{bigint,text,text,text}', 'runtime_catalog_' || role, rights,
                          role || ' on delete_plugin')
  FROM (VALUES ('worker', '{EXECUTE}'::text[]), ('operator', '{}'), ('reader', '{}')) AS wanted (role, rights);
SELECT isnt_definer('runtime_catalog', 'delete_plugin', '{bigint,text,text,text}', 'delete_plugin acts for its caller');
SELECT isnt(obj_description('runtime_catalog.delete_plugin(bigint, text, text, text)'::regprocedure, 'pg_proc'), NULL,
            'delete_plugin has a comment');

-- Two tenants, each with a plugin and a runtime of the same names

INSERT INTO runtime_catalog.namespace (id, path, parent_id)
SELECT wanted.id, wanted.path, root.id
  FROM runtime_catalog.namespace AS root,
       (VALUES (1001, 'team-a/'), (1002, 'team-b/')) AS wanted (id, path)
 WHERE root.path = '';
INSERT INTO runtime_catalog.runtime (namespace_id, type, name)
VALUES (1001, 'container', 'both'), (1002, 'container', 'both'), (1002, 'container', 'theirs');
INSERT INTO runtime_catalog.plugin (namespace_id, type, name, version, env)
SELECT id, type, name, version, '{S=1}'
  FROM unnest('{1001,1002}'::bigint[]) AS id,
       (VALUES ('secret', 'p', ''), ('secret', 'p', 'v1.0.0'), ('auth', 'p', '')) AS had (type, name, version);
INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies)
VALUES (sha256('a'), repeat('a', 24), 1001, '{}'), (sha256('b'), repeat('b', 24), 1002, '{}');

-- What the worker gets for a statement in a context: rows, or SQLSTATE. Leaves nothing behind.
CREATE FUNCTION pg_temp.attempt(context text, statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    rows bigint;
BEGIN
    PERFORM set_config('runtime_catalog.namespace_id', context, true);
    PERFORM set_config('role', 'runtime_catalog_worker', true);
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
SELECT is(pg_temp.attempt(context, statement), expected, format('%L: %s', context, statement))
  FROM (VALUES ('1001', 'SELECT name, command, args, sha256, oci_image FROM runtime_catalog.plugin',            '3'),
               ('1001', 'SELECT name FROM runtime_catalog.plugin WHERE namespace_id = 1002',                    '0'),
               ('1001', 'SELECT env FROM runtime_catalog.plugin',                                               '42501'),
               ('1001', 'SELECT * FROM runtime_catalog.plugin',                                                 '42501'),
               ('1001', 'SELECT plugin FROM runtime_catalog.plugin AS plugin',                                  '42501'),
               ('1001', 'UPDATE runtime_catalog.plugin SET env = ''{A=1}''',                                    '3'),
               ('1001', 'UPDATE runtime_catalog.plugin SET env = ''{}'' WHERE namespace_id = 1002',             '0'),
               ('1001', 'UPDATE runtime_catalog.plugin SET env = ''{}'' RETURNING env',                         '42501'),
               ('1001', 'UPDATE runtime_catalog.plugin SET env = env || ''{A=1}''',                             '42501'),
               ('1001', 'UPDATE runtime_catalog.plugin SET name = ''q''',                                       '42501'),
               ('1001', 'UPDATE runtime_catalog.plugin SET namespace_id = 1002',                                '42501'),
               ('1001', 'UPDATE runtime_catalog.plugin SET created_at = now()',                                 '42501'),
               ('1001', 'DELETE FROM runtime_catalog.plugin',                                                   '3'),
               ('1001', 'DELETE FROM runtime_catalog.plugin WHERE namespace_id = 1002',                         '0'),
               ('1001', 'TRUNCATE runtime_catalog.plugin',                                                      '42501'),
               ('1001', 'INSERT INTO runtime_catalog.plugin (namespace_id, type, name) VALUES (1001, ''auth'', ''q'')', '1'),
               ('1001', 'INSERT INTO runtime_catalog.plugin (namespace_id, type, name) VALUES (1002, ''auth'', ''q'')', '42501'),
               ('',     'INSERT INTO runtime_catalog.plugin (namespace_id, type, name) VALUES (1001, ''auth'', ''q'')', '42501'),
               ('',     'SELECT name FROM runtime_catalog.plugin',                                              '0'),
               ('',     'DELETE FROM runtime_catalog.plugin',                                                   '0'),
               ('1001', 'SELECT FROM (SELECT runtime_catalog.delete_plugin(1001, ''secret'', ''p'', '''') AS it) AS done WHERE it', '1'),
               ('1001', 'SELECT FROM (SELECT runtime_catalog.delete_plugin(1002, ''secret'', ''p'', '''') AS it) AS done WHERE it', '0'),
               ('',     'SELECT FROM (SELECT runtime_catalog.delete_plugin(1001, ''secret'', ''p'', '''') AS it) AS done WHERE it', '0'))
       AS tried (context, statement, expected);

-- delete_plugin: exactly the row that it names

CREATE FUNCTION pg_temp.deleted(namespace_id bigint, type text, name text, version text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    before bigint := (SELECT count(*) FROM runtime_catalog.plugin);
    said boolean := runtime_catalog.delete_plugin(namespace_id, type, name, version);
BEGIN
    RETURN concat_ws(' ', before - (SELECT count(*) FROM runtime_catalog.plugin), said);
END
$$;
SELECT is(pg_temp.deleted(id, type, name, version), expected, format('delete_plugin(%s, %L, %L, %L)', coalesce(id::text, 'null'), type, name, version))
  FROM (VALUES (1001, 'secret',   'p', 'v2.0.0', '0'),
               (1001, 'secret',   'P', '',       '0'),
               (1001, 'database', 'p', '',       '0'),
               (1003, 'secret',   'p', '',       '0'),
               (NULL, 'secret',   'p', '',       '0'),
               (1001, NULL,       'p', '',       '0'),
               (1001, 'secret',   'p', NULL,     '0'),
               (1001, 'secret',   'p', 'v1.0.0', '1 t'),
               (1001, 'secret',   'p', 'v1.0.0', '0'),
               (1001, 'secret',   'p', '',       '1 t'))
       AS tried (id, type, name, version, expected);
DELETE FROM runtime_catalog.plugin;

-- The worker's statements, as it prepares them

PREPARE plugin_load (bytea, text, text, text, text, text, text, text) AS
SELECT caller.accessor,
       (SELECT json_object_agg(plugin.version, json_strip_nulls(json_build_object('args', plugin.args, 'runtime', plugin.runtime_name)))::jsonb
          FROM runtime_catalog.plugin AS plugin
         WHERE plugin.namespace_id = caller.namespace_id AND plugin.type = $7 AND plugin.name = $8) AS object
  FROM runtime_catalog.authenticate($1, $2, $3, $4::inet, $5, $6::boolean) AS caller;
PREPARE plugin_load_names (bytea, text, text, text, text, text, text) AS
SELECT caller.accessor,
       (SELECT coalesce(json_agg(plugin.name ORDER BY plugin.name), '[]')
          FROM runtime_catalog.plugin AS plugin
         WHERE plugin.namespace_id = caller.namespace_id AND plugin.type = $7 AND plugin.version = '') AS object
  FROM runtime_catalog.authenticate($1, $2, $3, $4::inet, $5, $6::boolean) AS caller;
PREPARE plugin_put (bytea, text, text, text, text, text, text, text, text, text, text, text, bytea, text, text) AS
INSERT INTO runtime_catalog.plugin AS plugin
       (namespace_id, type, name, version, command, args, env, sha256, oci_image, runtime_type, runtime_name)
SELECT caller.namespace_id, $7, $8, $9, $10, ARRAY(SELECT json_array_elements_text($11::json)),
       ARRAY(SELECT json_array_elements_text($12::json)), $13::bytea, $14,
       CASE WHEN $15::text IS NOT NULL THEN 'container' END, $15::text
  FROM runtime_catalog.authenticate($1, $2, $3, $4::inet, $5, $6::boolean) AS caller
 WHERE caller.namespace_id IS NOT NULL
    ON CONFLICT (namespace_id, type, name, version) DO UPDATE
   SET command      = excluded.command,
       args         = excluded.args,
       env          = ARRAY(SELECT json_array_elements_text($12::json)),
       sha256       = excluded.sha256,
       oci_image    = excluded.oci_image,
       runtime_type = excluded.runtime_type,
       runtime_name = excluded.runtime_name,
       updated_at   = now()
RETURNING true;
PREPARE plugin_delete (bytea, text, text, text, text, text, text, text, text) AS
SELECT runtime_catalog.delete_plugin(caller.namespace_id, $7, $8, $9)
  FROM runtime_catalog.authenticate($1, $2, $3, $4::inet, $5, $6::boolean) AS caller;

-- The one row that the worker gets, '' for none, or SQLSTATE and constraint. A context from
-- before is none of this statement's.
CREATE FUNCTION pg_temp.run(statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    result record;
    broken text;
    line   text := '';
BEGIN
    PERFORM set_config('runtime_catalog.namespace_id', '', true);
    SET LOCAL ROLE runtime_catalog_worker;
    FOR result IN EXECUTE statement LOOP
        line := line || result::text;
    END LOOP;
    RESET ROLE;
    RETURN line;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME;
    RETURN concat_ws(' ', SQLSTATE, nullif(broken, ''));
END
$$;

-- "statement token namespace rest", in the order in which they run
CREATE FUNCTION pg_temp.tried(prefix text) RETURNS SETOF text
LANGUAGE sql AS $$
    SELECT is(pg_temp.run(format('EXECUTE %s (sha256(%L), '''', %L, NULL, %L, ''false'', ''secret''%s)',
                                 statement, token, named, 'req-' || ordinal, rest)),
              expected, format('%s: %s of %s by %s%s', prefix, statement, named, token, rest))
      FROM (VALUES ( 1, 'plugin_put',        'a', 'team-a/', ', ''p'', '''', ''c'', ''["x",""," y"]'', ''["S=1"]'', NULL, '''', ''both''', '(t)'),
                   ( 2, 'plugin_load',       'a', 'team-a/', ', ''p''',
                     format('(%s,"{"""": {""args"": [""x"", """", "" y""], ""runtime"": ""both""}}")', repeat('a', 24))),
                   ( 3, 'plugin_put',        'a', 'team-a/', ', ''p'', '''', ''c'', ''[]'', ''["S=2"]'', ''\x00'', '''', NULL', '23514 plugin_sha256_check'),
                   ( 4, 'plugin_put',        'a', 'team-a/', ', ''p'', '''', ''c'', ''[]'', ''["S=2"]'', NULL, '''', NULL', '(t)'),
                   ( 5, 'plugin_put',        'a', 'team-a/', ', ''p'', ''v1.0.0'', '''', ''[]'', ''[]'', NULL, ''i'', ''both''', '(t)'),
                   ( 6, 'plugin_load',       'a', 'team-a/', ', ''p''',
                     format('(%s,"{"""": {""args"": []}, ""v1.0.0"": {""args"": [], ""runtime"": ""both""}}")', repeat('a', 24))),
                   ( 7, 'plugin_load_names', 'a', 'team-a/', '', format('(%s,"[""p""]")', repeat('a', 24))),
                   ( 8, 'plugin_load_names', 'b', 'team-b/', '', format('(%s,[])', repeat('b', 24))),
                   ( 9, 'plugin_load',       'b', 'team-b/', ', ''p''', format('(%s,)', repeat('b', 24))),
                   (10, 'plugin_put',        'a', 'team-a/', ', ''q'', '''', '''', ''[]'', ''[]'', NULL, '''', ''none''', '23503 plugin_runtime_fkey'),
                   (11, 'plugin_put',        'a', 'team-a/', ', ''q'', '''', '''', ''[]'', ''[]'', NULL, '''', ''theirs''', '23503 plugin_runtime_fkey'),
                   (12, 'plugin_put',        'a', 'team-a/', ', ''p'', '''', '''', ''[]'', ''[]'', NULL, '''', ''theirs''', '23503 plugin_runtime_fkey'),
                   (13, 'plugin_put',        'b', 'team-a/', ', ''q'', '''', '''', ''[]'', ''[]'', NULL, '''', NULL', ''),
                   (14, 'plugin_put',        'x', 'team-a/', ', ''q'', '''', '''', ''[]'', ''[]'', NULL, '''', NULL', ''),
                   (15, 'plugin_delete',     'b', 'team-b/', ', ''p'', ''''', '()'),
                   (16, 'plugin_delete',     'b', 'team-a/', ', ''p'', ''''', '()'),
                   (17, 'plugin_delete',     'x', 'team-a/', ', ''p'', ''''', ''),
                   (18, 'plugin_delete',     'a', 'team-a/', ', ''p'', ''v1.0.0''', '(t)'),
                   (19, 'plugin_delete',     'a', 'team-a/', ', ''p'', ''v1.0.0''', '()'),
                   (20, 'plugin_load',       'a', 'team-a/', ', ''p''', format('(%s,"{"""": {""args"": []}}")', repeat('a', 24))),
                   (21, 'plugin_delete',     'a', 'team-a/', ', ''p'', ''''', '(t)'),
                   (22, 'plugin_load',       'a', 'team-a/', ', ''p''', format('(%s,)', repeat('a', 24))))
           AS tried (ordinal, statement, token, named, rest, expected)
$$;
SET LOCAL plan_cache_mode = force_custom_plan;
SELECT pg_temp.tried('custom plans');
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT pg_temp.tried('generic plans');

SELECT is((SELECT string_agg(concat_ws(' ', operation, left(accessor, 1), request_id, new ->> 'env'), ', ' ORDER BY id)
             FROM (SELECT * FROM runtime_catalog.change WHERE table_name = 'plugin' AND request_id <> ''
                    ORDER BY id DESC LIMIT 5) AS latest),
          'insert a req-1 ["S=1"], update a req-4 ["S=2"], insert a req-5 [], delete a req-18, delete a req-21',
          'history knows whose token and which request it was');

-- What is registered over keeps the time at which it was registered first.
INSERT INTO runtime_catalog.plugin (namespace_id, type, name, created_at, updated_at)
VALUES (1001, 'secret', 'old', '2000-01-01', '2000-01-01');
SELECT is(pg_temp.run($$EXECUTE plugin_put (sha256('a'), '', 'team-a/', NULL, '', 'false', 'secret', 'old', '', '', '[]', '[]', NULL, '', NULL)$$),
          '(t)', 'an older plugin is replaced');
SELECT results_eq($$SELECT created_at = '2000-01-01', updated_at = now() FROM runtime_catalog.plugin WHERE name = 'old'$$,
                  'VALUES (true, true)', 'and keeps the time of its first registration');

SELECT is(pg_temp.attempt('1001', 'SELECT FROM (SELECT runtime_catalog.delete_runtime(1001, ''container'', ''both'') AS it) AS done WHERE it'),
          '1', 'a runtime without plugins goes');
INSERT INTO runtime_catalog.plugin (namespace_id, type, name, runtime_type, runtime_name) VALUES (1001, 'unknown', 'u', 'container', 'both');
SELECT is(pg_temp.attempt('1001', 'SELECT FROM (SELECT runtime_catalog.delete_runtime(1001, ''container'', ''both'') AS it) AS done WHERE it'),
          '23503', 'one that a plugin without a type names stays');
SELECT is(pg_temp.attempt('1002', 'SELECT FROM (SELECT runtime_catalog.delete_runtime(1002, ''container'', ''both'') AS it) AS done WHERE it'),
          '1', 'and another tenant''s of that name goes');

SELECT finish();
ROLLBACK;
