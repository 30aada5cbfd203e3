-- Who may do what: every role × table × right, columns and functions, and attempts.

BEGIN;
SET LOCAL search_path = pgtap, pg_catalog;
SELECT plan(41);
GRANT USAGE ON SCHEMA pgtap TO PUBLIC;

-- Table rights: what is not listed must not be there.
SELECT table_privs_are('runtime_catalog', wanted.name, wanted.role, wanted.privileges,
                       wanted.role || ' on ' || wanted.name)
  FROM (SELECT t.name, r.role,
               CASE WHEN r.role = 'runtime_catalog_worker' THEN
                        CASE t.name WHEN 'runtime' THEN '{SELECT,INSERT,DELETE}'::text[]
                                    WHEN 'schema_version' THEN '{SELECT}' ELSE '{}' END
                    WHEN r.role = 'runtime_catalog_operator' THEN
                        CASE t.name WHEN 'namespace' THEN '{SELECT,INSERT,UPDATE,DELETE}'::text[]
                                    WHEN 'policy' THEN '{SELECT,INSERT,UPDATE,DELETE}'
                                    WHEN 'token' THEN '{INSERT,DELETE}' ELSE '{SELECT}' END
                    WHEN r.role = 'runtime_catalog_reader' THEN
                        CASE t.name WHEN 'token' THEN '{}'::text[] ELSE '{SELECT}' END
                    ELSE '{}'
               END AS privileges
          FROM (VALUES ('schema_version'), ('change'), ('namespace'), ('runtime'), ('plugin'),
                       ('policy'), ('token')) AS t (name),
               (VALUES ('runtime_catalog_worker'), ('runtime_catalog_operator'),
                       ('runtime_catalog_reader'), ('public')) AS r (role)
         WHERE r.role <> 'public') AS wanted;

-- PUBLIC has nothing: a role that was given nothing can do nothing.
CREATE ROLE runtime_catalog_test_nobody;
SELECT is((SELECT count(*) FROM pg_class
            WHERE relnamespace = 'runtime_catalog'::regnamespace AND relkind = 'r'
              AND has_table_privilege('runtime_catalog_test_nobody', oid, 'SELECT,INSERT,UPDATE,DELETE,TRUNCATE')),
          0::bigint, 'PUBLIC may do nothing to any table');
SELECT is((SELECT count(*) FROM pg_proc
            WHERE pronamespace = 'runtime_catalog'::regnamespace
              AND has_function_privilege('runtime_catalog_test_nobody', oid, 'EXECUTE')),
          0::bigint, 'PUBLIC may call no function');
SELECT is(has_schema_privilege('runtime_catalog_test_nobody', 'runtime_catalog', 'USAGE'), false,
          'PUBLIC may not use the schema');

-- Columns.
SELECT is(has_column_privilege(role, 'runtime_catalog.token', 'hash', 'SELECT'), false, role || ' reads no hash')
  FROM (VALUES ('runtime_catalog_worker'), ('runtime_catalog_operator'), ('runtime_catalog_reader')) AS r (role);
SELECT is((SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = 'runtime_catalog.runtime'::regclass AND attnum > 0
              AND has_column_privilege('runtime_catalog_worker', attrelid, attnum, 'UPDATE')),
          '{oci_runtime,cgroup_parent,cpu_nanos,memory_bytes,rootless,updated_at}',
          'the worker updates what a registration replaces, and no key');

-- Functions.
SELECT is((SELECT array_agg(proname::text ORDER BY proname) FROM pg_proc
            WHERE pronamespace = 'runtime_catalog'::regnamespace
              AND has_function_privilege(wanted.role, oid, 'EXECUTE')),
          wanted.functions::text[], wanted.role || ' may call these functions')
  FROM (VALUES ('runtime_catalog_worker', '{authenticate,delete_runtime,list_policies}'),
               ('runtime_catalog_operator', '{forget,list_policies}'),
               ('runtime_catalog_reader', NULL)) AS wanted (role, functions);
SELECT is((SELECT count(*) FROM pg_proc
            WHERE pronamespace = 'runtime_catalog'::regnamespace
              AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)),
          0::bigint, 'every function fixes its search_path');
SELECT is((SELECT count(*) FROM pg_class
            WHERE relnamespace = 'runtime_catalog'::regnamespace
              AND relowner <> 'runtime_catalog_owner'::regrole),
          0::bigint, 'the owner owns every table and index');
SELECT is((SELECT count(*) FROM pg_roles WHERE rolname LIKE 'runtime\_catalog\_%'
              AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)),
          0::bigint, 'no role is privileged');

-- Attempts.
SET LOCAL ROLE runtime_catalog_worker;
SELECT throws_ok('SELECT * FROM runtime_catalog.token', '42501', NULL, 'the worker cannot read tokens');
SELECT throws_ok('SELECT * FROM runtime_catalog.policy', '42501', NULL, 'the worker cannot read policies');
SELECT throws_ok('SELECT * FROM runtime_catalog.change', '42501', NULL, 'the worker cannot read history');
SELECT throws_ok('DELETE FROM runtime_catalog.plugin', '42501', NULL, 'the worker cannot delete plugins');
SELECT throws_ok('TRUNCATE runtime_catalog.runtime', '42501', NULL, 'the worker cannot truncate');
SELECT throws_ok('ALTER TABLE runtime_catalog.runtime DISABLE TRIGGER ALL', '42501', NULL,
                 'the worker cannot silence history');
RESET ROLE;
SET LOCAL ROLE runtime_catalog_operator;
SELECT throws_ok('SELECT hash FROM runtime_catalog.token', '42501', NULL, 'the operator cannot read a hash');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
