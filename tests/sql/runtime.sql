-- The table runtime: columns, constraints, indexes, comments, owner.

BEGIN;
SET LOCAL search_path = pgtap, pg_catalog;
SELECT plan(45);

-- What inserting the row below, with other values for some columns, violates: SQLSTATE and name
-- of the constraint or column; '' for nothing. Leaves no row behind.
CREATE FUNCTION pg_temp.violation(given jsonb) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    state   text;
    broken  text;
    missing text;
BEGIN
    INSERT INTO runtime_catalog.runtime
    SELECT (jsonb_populate_record(NULL::runtime_catalog.runtime,
            '{"namespace_id":  1001,
              "type":          "container",
              "name":          "valid",
              "oci_runtime":   "runsc",
              "cgroup_parent": "",
              "cpu_nanos":     0,
              "memory_bytes":  0,
              "rootless":      false,
              "created_at":    "2000-01-01",
              "updated_at":    "2000-01-01"}' || given)).*;
    RAISE SQLSTATE 'TT000';
EXCEPTION
    WHEN SQLSTATE 'TT000' THEN
        RETURN '';
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, broken = CONSTRAINT_NAME, missing = COLUMN_NAME;
        RETURN concat_ws(' ', state, nullif(broken, ''), nullif(missing, ''));
END
$$;

INSERT INTO runtime_catalog.namespace (id, path, parent_id)
SELECT wanted.id, wanted.path, root.id
  FROM runtime_catalog.namespace AS root,
       (VALUES (1001, 'team-a/'), (1002, 'team-b/')) AS wanted (id, path)
 WHERE root.path = '';
INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1001, 'container', 'taken');

-- What it consists of

SELECT results_eq(
    $$SELECT attname::text,
             format_type(atttypid, atttypmod) || CASE collname WHEN 'C' THEN ' COLLATE "C"' ELSE '' END,
             CASE WHEN attnotnull THEN 'NOT NULL' ELSE 'NULL' END,
             coalesce(pg_get_expr(adbin, adrelid), nullif(attidentity, '')::text)
        FROM pg_attribute
        LEFT JOIN pg_attrdef   ON adrelid = attrelid AND adnum = attnum
        LEFT JOIN pg_collation ON pg_collation.oid = attcollation
       WHERE attrelid = 'runtime_catalog.runtime'::regclass AND attnum > 0 AND NOT attisdropped
       ORDER BY attnum$$,
    $$VALUES ('namespace_id',  'bigint',                   'NOT NULL', NULL),
             ('type',          'text COLLATE "C"',         'NOT NULL', NULL),
             ('name',          'text COLLATE "C"',         'NOT NULL', NULL),
             ('oci_runtime',   'text COLLATE "C"',         'NOT NULL', '''runsc''::text'),
             ('cgroup_parent', 'text COLLATE "C"',         'NOT NULL', '''''::text'),
             ('cpu_nanos',     'bigint',                   'NOT NULL', '0'),
             ('memory_bytes',  'bigint',                   'NOT NULL', '0'),
             ('rootless',      'boolean',                  'NOT NULL', 'false'),
             ('created_at',    'timestamp with time zone', 'NOT NULL', 'now()'),
             ('updated_at',    'timestamp with time zone', 'NOT NULL', 'now()')$$,
    'runtime has these columns');

SELECT set_eq(
    $$SELECT conname::text, contype::text FROM pg_constraint WHERE conrelid = 'runtime_catalog.runtime'::regclass$$,
    $$VALUES ('runtime_pkey',                'p'),
             ('runtime_namespace_fkey',      'f'),
             ('runtime_type_check',          'c'),
             ('runtime_name_check',          'c'),
             ('runtime_oci_runtime_check',   'c'),
             ('runtime_cgroup_parent_check', 'c'),
             ('runtime_cpu_nanos_check',     'c'),
             ('runtime_memory_bytes_check',  'c')$$,
    'runtime has these constraints');

SELECT set_eq(
    $$SELECT indexdef FROM pg_indexes WHERE schemaname = 'runtime_catalog' AND tablename = 'runtime'$$,
    $$VALUES ('CREATE UNIQUE INDEX runtime_pkey ON runtime_catalog.runtime USING btree (namespace_id, type, name)')$$,
    'runtime has these indexes');

SELECT is((SELECT string_agg(column_name, ', ' ORDER BY ordinal_position)
             FROM information_schema.columns
            WHERE table_schema = 'runtime_catalog' AND table_name = 'runtime'
              AND col_description('runtime_catalog.runtime'::regclass, ordinal_position) IS NULL),
          NULL, 'every column of runtime has a comment');
SELECT isnt(obj_description('runtime_catalog.runtime'::regclass, 'pg_class'), NULL, 'runtime has a comment');
SELECT table_owner_is('runtime_catalog', 'runtime', 'runtime_catalog_owner', 'runtime belongs to the owner');

-- What it refuses

SELECT is(pg_temp.violation(given), expected, description)
  FROM (VALUES ('{}'::jsonb,                        '',                            'a runtime'),
               ('{"namespace_id": null}',           '23502 namespace_id',          'a runtime without namespace'),
               ('{"type": null}',                   '23502 type',                  'a runtime without type'),
               ('{"name": null}',                   '23502 name',                  'a runtime without name'),
               ('{"oci_runtime": null}',            '23502 oci_runtime',           'oci_runtime null'),
               ('{"cgroup_parent": null}',          '23502 cgroup_parent',         'cgroup_parent null'),
               ('{"cpu_nanos": null}',              '23502 cpu_nanos',             'cpu_nanos null'),
               ('{"memory_bytes": null}',           '23502 memory_bytes',          'memory_bytes null'),
               ('{"rootless": null}',               '23502 rootless',              'rootless null'),
               ('{"created_at": null}',             '23502 created_at',            'created_at null'),
               ('{"updated_at": null}',             '23502 updated_at',            'updated_at null'),
               ('{"name": "taken"}',                '23505 runtime_pkey',          'the same name twice'),
               ('{"name": "Taken"}',                '',                            'the same name in another case'),
               ('{"name": "taken", "namespace_id": 1002}', '',                     'the same name in another namespace'),
               ('{"namespace_id": 1003}',           '23503 runtime_namespace_fkey', 'a namespace that does not exist'),
               ('{"type": ""}',                     '23514 runtime_type_check',    'an empty type'),
               ('{"type": "Container"}',            '23514 runtime_type_check',    'a type in another case'),
               ('{"type": "vm"}',                   '23514 runtime_type_check',    'an unknown type'),
               ('{"oci_runtime": ""}',              '23514 runtime_oci_runtime_check', 'an empty oci_runtime'),
               ('{"oci_runtime": "ä"}',             '',                            'an oci_runtime beyond ASCII'),
               ('{"cpu_nanos": -1}',                '23514 runtime_cpu_nanos_check', 'cpu_nanos below 0'),
               ('{"cpu_nanos": -9223372036854775808}', '23514 runtime_cpu_nanos_check', 'the least cpu_nanos'),
               ('{"cpu_nanos": 9223372036854775807}',  '',                         'the greatest cpu_nanos'),
               ('{"cpu_nanos": 9223372036854775808}',  '22003',                    'one more cpu_nanos'),
               ('{"memory_bytes": -1}',             '23514 runtime_memory_bytes_check', 'memory_bytes below 0'),
               ('{"memory_bytes": -9223372036854775808}', '23514 runtime_memory_bytes_check', 'the least memory_bytes'),
               ('{"memory_bytes": 9223372036854775807}',  '',                      'the greatest memory_bytes'),
               ('{"memory_bytes": 9223372036854775808}',  '22003',                 'one more memory_bytes'))
       AS tried (given, expected, description);

SELECT is(pg_temp.violation(jsonb_build_object(name, text)), expected, description)
  FROM (VALUES ('name',          repeat('n', 255),        '',                                  'a name of 255 bytes'),
               ('name',          repeat('n', 256),        '23514 runtime_name_check',          'a name of 256 bytes'),
               ('oci_runtime',   repeat('o', 4096),       '',                                  'an oci_runtime of 4096 bytes'),
               ('oci_runtime',   repeat('ä', 2048) || 'o', '23514 runtime_oci_runtime_check',  'an oci_runtime of 4097 bytes in 2049 characters'),
               ('cgroup_parent', repeat('c', 4096),       '',                                  'a cgroup_parent of 4096 bytes'),
               ('cgroup_parent', repeat('ä', 2048) || 'c', '23514 runtime_cgroup_parent_check', 'a cgroup_parent of 4097 bytes in 2049 characters'))
       AS tried (name, text, expected, description);

SELECT is((SELECT string_agg(quote_literal(name), ', ')
             FROM unnest(ARRAY['a', 'Z', '0', '_', 'a.b', 'a-b', 'a_b', 'a--b', 'a.-.b', '0.1', 'x-', '_x',
                               'runsc.v2-rootless_1']) AS name
            WHERE pg_temp.violation(jsonb_build_object('name', name)) <> ''),
          '''x-''', 'these names are valid, x- is not');
SELECT is((SELECT string_agg(quote_literal(name), ', ')
             FROM unnest(ARRAY['', ' ', '.', '..', '-', '-a', 'a-', '.a', 'a.', 'a..b', 'a/b', '/', 'a b', ' a', 'a ',
                               E'a\n', E'\na', E'a\nb', E'a\tb', 'a%2fb', 'a\b', 'a''b', 'a"b', 'a;b', 'a*', 'ä', 'aä',
                               'а', 'a+b', 'a:b', 'a@b', '✓']) AS name
            WHERE pg_temp.violation(jsonb_build_object('name', name)) <> '23514 runtime_name_check'),
          NULL, 'none of these names is valid');

-- What it fills in

SELECT results_eq(
    $$SELECT oci_runtime, cgroup_parent, cpu_nanos, memory_bytes, rootless, created_at = now(), updated_at = now()
        FROM runtime_catalog.runtime WHERE namespace_id = 1001 AND name = 'taken'$$,
    $$VALUES ('runsc'::text COLLATE "C", ''::text COLLATE "C", 0::bigint, 0::bigint, false, true, true)$$,
    'what a runtime is unless it says otherwise');

-- What holds its namespace

SELECT throws_matching(
    'DELETE FROM runtime_catalog.namespace WHERE id = 1001', 'runtime_namespace_fkey',
    'a namespace with runtimes stays');
SELECT lives_ok('DELETE FROM runtime_catalog.namespace WHERE id = 1002', 'a namespace without runtimes goes');

SELECT finish();
ROLLBACK;
