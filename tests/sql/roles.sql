-- The four roles: what they are, and what each session of theirs begins with.

BEGIN;
SET LOCAL search_path = pgtap, pg_catalog;
SELECT plan(9);

SELECT set_eq(
    $$SELECT rolname::text, rolcanlogin FROM pg_roles WHERE rolname LIKE 'runtime\_catalog\_%'$$,
    $$VALUES ('runtime_catalog_owner',    false),
             ('runtime_catalog_worker',   true),
             ('runtime_catalog_operator', false),
             ('runtime_catalog_reader',   false)$$,
    'these are the roles, and one of them logs in');
SELECT is((SELECT string_agg(rolname, ', ')
             FROM pg_roles
            WHERE rolname LIKE 'runtime\_catalog\_%'
              AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)),
          NULL, 'none of them may do more than it was granted');
SELECT is((SELECT string_agg(member.rolname || ' of ' || role.rolname, ', ')
             FROM pg_auth_members
             JOIN pg_roles AS role   ON role.oid = roleid
             JOIN pg_roles AS member ON member.oid = pg_auth_members.member
            WHERE member.rolname LIKE 'runtime\_catalog\_%'),
          NULL, 'none of them is a member of any role');
SELECT is((SELECT string_agg(rolname, ', ')
             FROM pg_roles
            WHERE rolname LIKE 'runtime\_catalog\_%' AND shobj_description(oid, 'pg_authid') IS NULL),
          NULL, 'each has a comment');

SELECT is(rolconfig, expected, role || ' begins with these settings')
  FROM (VALUES ('runtime_catalog_owner',    NULL),
               ('runtime_catalog_worker',   ARRAY['search_path=""', 'statement_timeout=5s', 'lock_timeout=2s',
                                                  'idle_in_transaction_session_timeout=5s']),
               ('runtime_catalog_operator', NULL),
               ('runtime_catalog_reader',   NULL))
       AS wanted (role, expected)
  JOIN pg_roles ON rolname = role;

SELECT set_eq(
    $$SELECT defaclnamespace = 0, defaclobjtype::text, defaclacl::text
        FROM pg_default_acl WHERE defaclrole = 'runtime_catalog_owner'::regrole$$,
    $$VALUES (true, 'f', '{runtime_catalog_owner=X/runtime_catalog_owner}')$$,
    'a function that the owner makes is nobody else''s to call');

SELECT finish();
ROLLBACK;
