-- The table audit_salt, who gets the salt, and what authenticate() says for an audit log.

BEGIN;
SET LOCAL search_path = pgtap, pg_catalog;
SELECT plan(23);

-- What a statement violates: SQLSTATE and name of the constraint or column; '' for nothing. Leaves
-- nothing behind.
CREATE FUNCTION pg_temp.violation(statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    state   text;
    broken  text;
    missing text;
BEGIN
    EXECUTE statement;
    RAISE SQLSTATE 'TT000';
EXCEPTION
    WHEN SQLSTATE 'TT000' THEN
        RETURN '';
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, broken = CONSTRAINT_NAME, missing = COLUMN_NAME;
        RETURN concat_ws(' ', state, nullif(broken, ''), nullif(missing, ''));
END
$$;

-- The salt

SELECT is(
    (SELECT string_agg(concat_ws(' ', attname, format_type(atttypid, atttypmod),
                                 CASE WHEN attnotnull THEN 'NOT NULL' ELSE 'NULL' END,
                                 'DEFAULT ' || pg_get_expr(adbin, adrelid)), E'\n' ORDER BY attnum)
       FROM pg_attribute
       LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
      WHERE attrelid = 'runtime_catalog.audit_salt'::regclass AND attnum > 0 AND NOT attisdropped),
    $$id boolean NOT NULL DEFAULT true
salt text NOT NULL
created_at timestamp with time zone NOT NULL DEFAULT now()$$,
    'audit_salt has these columns');
SELECT results_eq('SELECT count(*), bool_and(salt ~ ''^[0-9a-f]{64}$'') FROM runtime_catalog.audit_salt', 'VALUES (1::bigint, true)',
                  'there is one salt from the start, of 256 bits');
SELECT is(pg_temp.violation(statement), expected, statement)
  FROM (VALUES ('INSERT INTO runtime_catalog.audit_salt (salt) VALUES (repeat(''s'', 64))',            '23505 audit_salt_pkey'),
               ('INSERT INTO runtime_catalog.audit_salt (id, salt) VALUES (false, repeat(''s'', 64))', '23514 audit_salt_id_check'),
               ('UPDATE runtime_catalog.audit_salt SET id = NULL',                                     '23502 id'),
               ('UPDATE runtime_catalog.audit_salt SET salt = NULL',                                   '23502 salt'),
               ('UPDATE runtime_catalog.audit_salt SET created_at = NULL',                             '23502 created_at'),
               ('UPDATE runtime_catalog.audit_salt SET salt = repeat(''s'', 31)',                      '23514 audit_salt_salt_check'),
               ('UPDATE runtime_catalog.audit_salt SET salt = repeat(''s'', 32)',                      ''),
               ('UPDATE runtime_catalog.audit_salt SET salt = repeat(''s'', 255)',                     ''),
               ('UPDATE runtime_catalog.audit_salt SET salt = repeat(''s'', 256)',                     '23514 audit_salt_salt_check'))
       AS tried (statement, expected);
CREATE FUNCTION pg_temp.attempt(role text, statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM set_config('role', 'runtime_catalog_' || role, true);
    EXECUTE statement INTO answer;
    PERFORM set_config('role', 'none', true);
    RETURN answer;
EXCEPTION
    WHEN insufficient_privilege THEN
        RETURN SQLSTATE;
END
$$;
SELECT is(pg_temp.attempt(role, 'SELECT runtime_catalog.audit_salt() ~ ''^[0-9a-f]{64}$'''), expected, role || ': the function')
  FROM (VALUES ('worker', 'true'), ('operator', 'true'), ('reader', '42501')) AS tried (role, expected);
SELECT is(pg_temp.attempt(role, 'SELECT salt FROM runtime_catalog.audit_salt'), '42501', role || ': the table')
  FROM unnest('{worker,operator,reader}'::text[]) AS role;

-- What a record says of a caller

INSERT INTO runtime_catalog.namespace (id, path, parent_id)
SELECT 1001, 'team-a/', id FROM runtime_catalog.namespace WHERE path = '';
INSERT INTO runtime_catalog.namespace (id, path, parent_id) VALUES (1002, 'team-a/x/', 1001);
INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, display_name, meta, created_at, ttl, uses_left)
VALUES (sha256('t'), repeat('t', 24), 1001, '{p}', 'token-of-ann', '{"who": "ann"}', '2000-01-01 00:00:00.9Z', 3600, 3),
       (sha256('u'), repeat('u', 24), 1001, '{p}', 'token', NULL, '2000-01-01Z', 0, NULL);
INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, meta, ttl, uses_left, bound_cidrs)
VALUES (sha256('v'), repeat('v', 24), 1001, '{p}', '{"who": "ben"}', 1, 1, '{192.0.2.0/24}');
CREATE FUNCTION pg_temp.facts(name text, named text, spend boolean DEFAULT false) RETURNS text LANGUAGE sql AS $$
    SELECT format('%s %s %s %s %s', coalesce(caller.display_name, '-'), coalesce(caller.meta::text, '-'), coalesce(caller.issued_at::text, '-'),
                  coalesce(caller.ttl::text, '-'), coalesce(caller.uses_left::text, '-'))
      FROM runtime_catalog.authenticate(sha256(name::bytea), '', named, NULL, 'r', spend) AS caller
$$;
SELECT is(pg_temp.facts(name, named, spend), expected, description)
  FROM (VALUES ('t', 'team-a/',    false, 'token-of-ann {"who": "ann"} 946684800 3600 3', 'a token, issued in the second that it was made in'),
               ('t', 'team-a/x/',  false, 'token-of-ann {"who": "ann"} 946684800 3600 3', 'in a namespace below'),
               ('t', 'team-a/no/', false, 'token-of-ann {"who": "ann"} 946684800 3600 3', 'in one that does not exist'),
               ('t', 'team-a/',    true,  'token-of-ann {"who": "ann"} 946684800 3600 2', 'the uses that are left after this one'),
               ('u', 'team-a/',    true,  'token - 946684800 0 -',                        'a token with neither end nor bound'),
               ('v', 'team-a/',    true,  '- - - - -',                                    'of one from elsewhere nothing'))
       AS tried (name, named, spend, expected, description);

SELECT finish();
ROLLBACK;
