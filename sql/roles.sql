-- Roles of the runtime catalog, and what they may do with this database.
--
-- Run once for each database, in that database, by somebody who may CREATE ROLE and owns the
-- database. Runs again without harm. The roles belong to the whole cluster: two catalogs on
-- one cluster share them.
--
--   runtime_catalog_owner     owns every object; nobody logs in as it. Who migrates is a
--                             member: GRANT runtime_catalog_owner TO <your role>
--   runtime_catalog_worker    what runtime-catalogd connects as
--   runtime_catalog_operator  what runtime-catalog (the tool) needs: tokens, policies,
--                             namespaces; a group to grant to people
--   runtime_catalog_reader    reporting: every table, all tenants, never a hash; a group too
--
-- Locks: none worth mentioning. Takes milliseconds.

BEGIN;

DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
          FROM (VALUES ('runtime_catalog_owner',    'NOLOGIN'),
                       ('runtime_catalog_worker',   'LOGIN'),
                       ('runtime_catalog_operator', 'NOLOGIN'),
                       ('runtime_catalog_reader',   'NOLOGIN')) AS role (name, login)
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role.name)
    LOOP
        EXECUTE pg_catalog.format(
            'CREATE ROLE %I %s NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS',
            wanted.name, wanted.login);
    END LOOP;

    EXECUTE pg_catalog.format('GRANT CONNECT, CREATE ON DATABASE %I TO runtime_catalog_owner',
                              pg_catalog.current_database());
    EXECUTE pg_catalog.format(
        'GRANT CONNECT ON DATABASE %I TO runtime_catalog_worker, runtime_catalog_operator, '
        'runtime_catalog_reader', pg_catalog.current_database());
END
$$;

COMMENT ON ROLE runtime_catalog_owner    IS 'Owns the runtime catalog''s objects';
COMMENT ON ROLE runtime_catalog_worker   IS 'runtime-catalogd: reads and writes rows of the namespace that a token leads to';
COMMENT ON ROLE runtime_catalog_operator IS 'runtime-catalog, the tool: tokens, policies, namespaces';
COMMENT ON ROLE runtime_catalog_reader   IS 'Reporting on the runtime catalog: all tenants, never a hash';

-- Every name in the catalog's SQL is qualified; an empty path makes a slip an error. Set on
-- the role, because poolers drop what a session sets.
ALTER ROLE runtime_catalog_worker SET search_path = '';
-- The worker waits five seconds for an answer at most, so nothing of its may run for longer.
ALTER ROLE runtime_catalog_worker SET statement_timeout = '5s';
ALTER ROLE runtime_catalog_worker SET lock_timeout = '2s';
ALTER ROLE runtime_catalog_worker SET idle_in_transaction_session_timeout = '5s';

COMMIT;
