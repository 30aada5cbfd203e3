-- authenticate(), token_is_live(), delete_runtime(), and the worker's statements around them.

BEGIN;
SET LOCAL search_path = pgtap, pg_catalog;
SELECT plan(257);
GRANT USAGE ON SCHEMA pgtap TO PUBLIC;

-- Namespaces: two of which one's name begins with the other's, and some below

INSERT INTO runtime_catalog.namespace (id, path, parent_id)
SELECT wanted.id, wanted.path, coalesce(wanted.parent_id, root.id)
  FROM runtime_catalog.namespace AS root,
       (VALUES (1001, 'team-a/',       NULL),
               (1002, 'team-ab/',      NULL),
               (1003, 'team-b/',       NULL),
               (1011, 'team-a/x/',     1001),
               (1012, 'team-a/x/y/',   1011),
               (1021, 'team-ab/x/',    1002),
               (1031, 'team-a/team-a/', 1001)) AS wanted (id, path, parent_id)
 WHERE root.path = '';

INSERT INTO runtime_catalog.policy (namespace_id, name, text)
VALUES (1001, 'p', 'of "team-a"'), (1001, 'q', E'two\nlines'), (1003, 'other', 'of team-b'), (1011, 'below', 'of team-a/x');

-- Tokens by name: a token's hash is that of its name, its accessor the name filled up to 24
-- characters. `ttl` is an interval from now; a negative one has passed.

CREATE FUNCTION pg_temp.accessor(name text) RETURNS text LANGUAGE sql AS $$ SELECT rpad(name, 24, '0') $$;
CREATE FUNCTION pg_temp.name(accessor text) RETURNS text LANGUAGE sql AS $$ SELECT rtrim(accessor, '0') $$;

INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, parent, expires_at, uses_left, bound_cidrs)
SELECT sha256(name::bytea), pg_temp.accessor(name), namespace.id, policies::text[], pg_temp.accessor(parent),
       clock_timestamp() + ttl::interval, uses, cidrs::cidr[]
  FROM (VALUES ('root',       '',          '{root}',           NULL,         NULL,          NULL::integer, NULL),
               ('a',          'team-a/',   '{p,absent,q}',     NULL,         NULL,          NULL, NULL),
               ('ab',         'team-ab/',  '{p}',              NULL,         NULL,          NULL, NULL),
               ('b',          'team-b/',   '{p}',              NULL,         NULL,          NULL, NULL),
               ('ax',         'team-a/x/', '{p}',              NULL,         NULL,          NULL, NULL),
               ('none',       'team-a/',   '{}',               NULL,         NULL,          NULL, NULL),
               ('foreign',    'team-a/',   '{other,below}',    NULL,         NULL,          NULL, NULL),
               ('hour',       'team-a/',   '{p}',              NULL,         '1 hour',      NULL, NULL),
               ('expired',    'team-a/',   '{p}',              NULL,         '-1 hour',     NULL, NULL),
               ('justNow',    'team-a/',   '{p}',              NULL,         '0',           NULL, NULL),
               ('childOfHour',    'team-a/', '{p}',            'hour',       NULL,          NULL, NULL),
               ('grandOfHour',    'team-a/', '{p}',            'childOfHour', '1 hour',     NULL, NULL),
               ('greatOfHour',    'team-a/', '{p}',            'grandOfHour', NULL,         NULL, NULL),
               ('childOfExpired', 'team-a/', '{p}',            'expired',    NULL,          NULL, NULL),
               ('grandOfExpired', 'team-a/', '{p}',            'childOfExpired', '1 hour',  NULL, NULL),
               ('greatOfExpired', 'team-a/', '{p}',            'grandOfExpired', NULL,      NULL, NULL),
               ('expiredOfHour',  'team-a/', '{p}',            'hour',       '-1 second',   NULL, NULL),
               ('uses3',      'team-a/',   '{p}',              NULL,         NULL,          3,    NULL),
               ('uses0',      'team-a/',   '{p}',              NULL,         NULL,          0,    NULL),
               ('v4',         'team-a/',   '{p}',              NULL,         NULL,          3,    '{10.0.0.0/8}'),
               ('host',       'team-a/',   '{p}',              NULL,         NULL,          NULL, '{192.0.2.7/32}'),
               ('v6',         'team-a/',   '{p}',              NULL,         NULL,          NULL, '{2001:db8::/32}'),
               ('both',       'team-a/',   '{p}',              NULL,         NULL,          NULL, '{10.0.0.0/8,2001:db8::/32}'),
               ('all4',       'team-a/',   '{p}',              NULL,         NULL,          NULL, '{0.0.0.0/0}'))
       AS wanted (name, path, policies, parent, ttl, uses, cidrs)
  JOIN runtime_catalog.namespace AS namespace USING (path);

-- What a request finds: "token namespace target", `-` for a null, `none` for no row
CREATE FUNCTION pg_temp.asked(name text, site text, named text, address inet DEFAULT NULL, spend boolean DEFAULT false)
RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(concat_ws(' ', coalesce(pg_temp.name(caller.accessor), '-'), coalesce(quote_literal(caller.token_namespace), '-'),
                                         coalesce(caller.namespace_id::text, '-'),
                                         CASE WHEN NOT caller.address_allowed THEN 'refused' END), '; '), 'none')
      FROM runtime_catalog.authenticate(sha256(name::bytea), site, named, address, 'a-request', spend) AS caller
$$;

-- Which token

SELECT is(pg_temp.asked(name, '', 'team-a/'), expected, description)
  FROM (VALUES ('a',              'a ''team-a/'' 1001',              'a token'),
               ('hour',           'hour ''team-a/'' 1001',           'one that has not expired yet'),
               ('unknown',        'none',                            'an unknown one'),
               ('A',              'none',                            'one in another case'),
               ('',               'none',                            'the empty one'),
               ('expired',        'none',                            'an expired one'),
               ('justNow',        'none',                            'one that expires at this moment'),
               ('childOfHour',    'childOfHour ''team-a/'' 1001',    'the child of a live one'),
               ('grandOfHour',    'grandOfHour ''team-a/'' 1001',    'its child'),
               ('greatOfHour',    'greatOfHour ''team-a/'' 1001',    'and that one''s'),
               ('expiredOfHour',  'none',                            'an expired child of a live one'),
               ('childOfExpired', 'none',                            'the child of an expired one'),
               ('grandOfExpired', 'none',                            'its child'),
               ('greatOfExpired', 'none',                            'and that one''s'))
       AS tried (name, expected, description);
SELECT is((SELECT count(*) FROM runtime_catalog.authenticate(hash, '', 'team-a/', NULL, '', false)), 0::bigint, description)
  FROM (VALUES (NULL::bytea,       'no hash'),
               ('',                'an empty hash'),
               ('a',               'the token instead of its hash'),
               (sha256(sha256('a')), 'the hash of a hash'))
       AS tried (hash, description);
SELECT is(runtime_catalog.token_is_live(pg_temp.accessor(name)), expected, format('token_is_live: %s', name))
  FROM (VALUES ('a', true), ('hour', true), ('greatOfHour', true), ('unknown', false), ('expired', false), ('justNow', false),
               ('childOfExpired', false), ('greatOfExpired', false), ('expiredOfHour', false))
       AS tried (name, expected);
SELECT is(runtime_catalog.token_is_live(NULL), false, 'token_is_live: null');

-- A parent that expires, comes back, goes

UPDATE runtime_catalog.token SET expires_at = 'infinity' WHERE accessor = pg_temp.accessor('expired');
SELECT is(pg_temp.asked('greatOfExpired', '', 'team-a/'), 'greatOfExpired ''team-a/'' 1001', 'a token whose parent was renewed');
UPDATE runtime_catalog.token SET expires_at = '-infinity' WHERE accessor = pg_temp.accessor('hour');
SELECT is(pg_temp.asked('greatOfHour', '', 'team-a/'), 'none', 'a token whose parent expired');
DELETE FROM runtime_catalog.token WHERE accessor = pg_temp.accessor('expired');
SELECT is(pg_temp.asked(name, '', 'team-a/'), 'none', name || ' went with its parent')
  FROM unnest(ARRAY['expired', 'childOfExpired', 'grandOfExpired', 'greatOfExpired']) AS name;

-- Parents in a circle, which only the owner can make, end nothing but the question.

INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, parent)
VALUES (sha256('egg'), pg_temp.accessor('egg'), 1001, '{}', NULL), (sha256('hen'), pg_temp.accessor('hen'), 1001, '{}', pg_temp.accessor('egg'));
UPDATE runtime_catalog.token SET parent = pg_temp.accessor('hen') WHERE accessor = pg_temp.accessor('egg');
SELECT is(pg_temp.asked('hen', '', 'team-a/'), 'hen ''team-a/'' 1001', 'parents in a circle');

-- Site and namespace: a token reaches its own namespace and those below, and a site nothing above it.

SELECT is(pg_temp.asked(name, site, named), expected, format('%s at site %L asks for %L', name, site, named))
  FROM (VALUES ('root', '',          '',             'root '''' ' || (SELECT id FROM runtime_catalog.namespace WHERE path = '')),
               ('root', '',          'team-a/',      'root '''' 1001'),
               ('root', '',          'team-a/x/',    'root '''' 1011'),
               ('root', '',          'team-a/x/y/',  'root '''' 1012'),
               ('root', '',          'absent/',      'root '''' -'),
               ('root', '',          'team-a',       'root '''' -'),
               ('root', '',          '/team-a/',     'root '''' -'),
               ('root', '',          'TEAM-A/',      'root '''' -'),
               ('root', '',          'team-_/',      'root '''' -'),
               ('root', '',          '%',            'root '''' -'),
               ('a',    '',          'team-a/',      'a ''team-a/'' 1001'),
               ('a',    '',          'team-a/x/',    'a ''team-a/'' 1011'),
               ('a',    '',          'team-a/x/y/',  'a ''team-a/'' 1012'),
               ('a',    '',          'team-a/absent/', 'a ''team-a/'' -'),
               ('a',    '',          '',             'a ''team-a/'' -'),
               ('a',    '',          'team-b/',      'a ''team-a/'' -'),
               ('a',    '',          'team-ab/',     'a ''team-a/'' -'),
               ('a',    '',          'team-ab/x/',   'a ''team-a/'' -'),
               ('a',    '',          'team-a/../team-b/', 'a ''team-a/'' -'),
               ('ab',   '',          'team-ab/',     'ab ''team-ab/'' 1002'),
               ('ab',   '',          'team-a/',      'ab ''team-ab/'' -'),
               ('ax',   '',          'team-a/x/',    'ax ''team-a/x/'' 1011'),
               ('ax',   '',          'team-a/x/y/',  'ax ''team-a/x/'' 1012'),
               ('ax',   '',          'team-a/',      'ax ''team-a/x/'' -'),
               ('ax',   '',          'team-ab/x/',   'ax ''team-a/x/'' -'),
               ('a',    'team-a/',   '',             'a ''team-a/'' 1001'),
               ('a',    'team-a/',   'x/',           'a ''team-a/'' 1011'),
               ('a',    'team-a/',   'x/y/',         'a ''team-a/'' 1012'),
               ('a',    'team-a/',   'team-a/',      'a ''team-a/'' 1031'),
               ('a',    'team-a/',   'team-b/',      'a ''team-a/'' -'),
               ('a',    'team-a/',   '../team-b/',   'a ''team-a/'' -'),
               ('ax',   'team-a/',   'x/',           'ax ''team-a/x/'' 1011'),
               ('ax',   'team-a/',   '',             'ax ''team-a/x/'' -'),
               ('root', 'team-a/',   '',             'none'),
               ('root', 'team-a/',   'x/',           'none'),
               ('a',    'team-a/x/', '',             'none'),
               ('a',    'team-a/x/', 'y/',           'none'),
               ('ax',   'team-a/x/', 'y/',           'ax ''team-a/x/'' 1012'),
               ('b',    'team-a/',   '',             'none'),
               ('ab',   'team-a/',   '',             'none'),
               ('ab',   'team-a/',   'x/',           'none'),
               ('a',    'team-ab/',  '',             'none'),
               ('root', 'absent/',   '',             'none'),
               ('a',    'absent/',   'team-a/',      'none'),
               ('ab',   'team-a',    'b/',           'none'),
               ('ab',   'team-a',    '',             'none'),
               ('a',    'team-a',    '/',            'none'),
               ('a',    NULL,        'team-a/',      'none'),
               ('a',    '',          NULL,           'a ''team-a/'' -'))
       AS tried (name, site, named, expected);

-- Networks

SELECT is(pg_temp.asked(name, '', 'team-a/', address::inet),
          CASE WHEN allowed THEN format('%s ''team-a/'' 1001', name) ELSE '- - - refused' END,
          format('%s from %s: %s', name, coalesce(address, 'nowhere that is known'), CASE WHEN allowed THEN 'allowed' ELSE 'refused' END))
  FROM (VALUES ('a',       '10.1.2.3',        true),
               ('a',       '2001:db8::1',     true),
               ('a',       NULL,              true),
               ('v4',      '10.0.0.0',        true),
               ('v4',      '10.255.255.255',  true),
               ('v4',      '9.255.255.255',   false),
               ('v4',      '11.0.0.0',        false),
               ('v4',      '::ffff:10.1.2.3', false),
               ('v4',      '2001:db8::1',     false),
               ('v4',      NULL,              false),
               ('host',    '192.0.2.7',       true),
               ('host',    '192.0.2.8',       false),
               ('host',    '192.0.2.0/24',    false),
               ('v6',      '2001:db8:ffff::', true),
               ('v6',      '2001:db9::',      false),
               ('v6',      '10.1.2.3',        false),
               ('both',    '10.1.2.3',        true),
               ('both',    '2001:db8::1',     true),
               ('both',    '192.0.2.7',       false),
               ('all4',    '192.0.2.7',       true),
               ('all4',    '::1',             false))
       AS tried (name, address, allowed);
SELECT is((SELECT policies FROM runtime_catalog.authenticate(sha256('v4'), '', 'team-a/', '11.0.0.0', '', false))::text, NULL,
          'a refused address learns nothing of the policies');

-- Uses

CREATE FUNCTION pg_temp.spent(name text, site text, address inet, spend boolean) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    answer text := split_part(pg_temp.asked(name, site, 'team-a/', address, spend), ' ', 1);
BEGIN
    RETURN answer || ' ' || coalesce((SELECT uses_left::text FROM runtime_catalog.token WHERE accessor = pg_temp.accessor(name)), 'any');
END
$$;
CREATE TEMPORARY TABLE mark ON COMMIT DROP AS SELECT max(id) AS id FROM runtime_catalog.change;
SELECT is(pg_temp.spent(name, site, address::inet, spend), expected, description)
  FROM (VALUES ('uses3', '',        NULL,       true,  'uses3 2', 'the first of three uses'),
               ('uses3', '',        NULL,       false, 'uses3 2', 'a look that spends none'),
               ('uses3', '',        NULL,       NULL,  'uses3 2', 'null spends none either'),
               ('uses3', 'absent/', NULL,       true,  'none 2',  'nor does a request to a site where the token does not exist'),
               ('uses3', '',        NULL,       true,  'uses3 1', 'the second'),
               ('uses3', '',        NULL,       true,  'uses3 0', 'the third'),
               ('uses3', '',        NULL,       false, 'uses3 0', 'the second statement of the last request'),
               ('uses3', '',        NULL,       true,  'none 0',  'there is no fourth'),
               ('uses0', '',        NULL,       true,  'none 0',  'none of none'),
               ('v4',    '',        '11.0.0.0', true,  '- 3',     'a refused address spends none'),
               ('v4',    '',        '10.0.0.0', true,  'v4 2',    'an allowed one does'),
               ('a',     '',        NULL,       true,  'a any',   'a token of any number of uses'))
       AS tried (name, site, address, spend, expected, description);
SELECT results_eq($$SELECT used_up_at BETWEEN now() AND clock_timestamp() FROM runtime_catalog.token
                     WHERE accessor IN (pg_temp.accessor('uses3'), pg_temp.accessor('v4')) ORDER BY accessor$$,
                  'VALUES (true), (NULL)', 'a token without any left knows since when');
SELECT is((SELECT count(*) FROM runtime_catalog.token WHERE uses_left IS NOT NULL AND accessor NOT IN
             (pg_temp.accessor('uses3'), pg_temp.accessor('uses0'), pg_temp.accessor('v4'))), 0::bigint,
          'no other token was counted');
SELECT is((SELECT count(*) FROM runtime_catalog.change WHERE change.id > (SELECT id FROM mark)), 0::bigint,
          'none of it is history');

-- Policies

SELECT is((SELECT policies::jsonb FROM runtime_catalog.authenticate(sha256(name::bytea), '', '', NULL, '', false)),
          expected::jsonb, description)
  FROM (VALUES ('a',       '[["p", "absent", "q"], {"p": "of \"team-a\"", "q": "two\nlines"}]', 'names, and the texts of those that there are'),
               ('ab',      '[["p"], null]',              'a policy of another namespace is none'),
               ('foreign', '[["other", "below"], null]', 'nor is one of a namespace below'),
               ('root',    '[["root"], null]',           'root has no text'),
               ('none',    '[[], null]',                 'no policies'))
       AS tried (name, expected, description);
SELECT is((SELECT jsonb_array_length(policies::jsonb -> 0) FROM runtime_catalog.authenticate(sha256('a'), '', 'team-b/', NULL, '', false)), 3,
          'policies come also where the namespace is out of reach');

-- The settings of the transaction

CREATE FUNCTION pg_temp.settings() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(', ', coalesce(nullif(current_setting('runtime_catalog.namespace_id', true), ''), '-'),
                     coalesce(nullif(pg_temp.name(current_setting('runtime_catalog.accessor', true)), ''), '-'),
                     coalesce(nullif(current_setting('runtime_catalog.request_id', true), ''), '-'))
$$;
-- After a call in the same transaction that set all of them
CREATE FUNCTION pg_temp.set_by(name text, site text, named text, address inet, request text) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM runtime_catalog.authenticate(sha256('ab'), '', 'team-ab/', NULL, 'earlier', false);
    IF pg_temp.settings() <> '1002, ab, earlier' THEN
        RETURN 'the earlier call: ' || pg_temp.settings();
    END IF;
    PERFORM FROM runtime_catalog.authenticate(sha256(name::bytea), site, named, address, request, true);
    RETURN pg_temp.settings();
END
$$;
SELECT is(pg_temp.set_by(name, site, named, address::inet, request), expected, description)
  FROM (VALUES ('a',       '',         'team-a/',   NULL,       'r-1', '1001, a, r-1', 'namespace, accessor and request are set'),
               ('a',       'team-a/',  'x/',        NULL,       'r-2', '1011, a, r-2', 'the namespace is that of site and name'),
               ('root',    '',         'team-b/',   NULL,       'r-3', '1003, root, r-3', 'not that of the token'),
               ('a',       '',         'team-b/',   NULL,       'r-4', '-, a, r-4',    'out of reach: no namespace'),
               ('a',       '',         'absent/',   NULL,       'r-5', '-, a, r-5',    'no such namespace: none'),
               ('a',       '',         'team-a/',   NULL,       NULL,  '1001, a, -',   'no request'),
               ('unknown', '',         'team-a/',   NULL,       'r-6', '-, -, -',      'an unknown token sets nothing'),
               ('justNow', '',         'team-a/',   NULL,       'r-7', '-, -, -',      'nor does an expired one'),
               ('v4',      '',         'team-a/',   '11.0.0.0', 'r-8', '-, -, -',      'nor a refused address'),
               ('uses0',   '',         'team-a/',   NULL,       'r-9', '-, -, -',      'nor a token without uses'),
               ('root',    'team-a/',  '',          NULL,       'r-0', '-, -, -',      'nor a token of a namespace above the site'))
       AS tried (name, site, named, address, request, expected, description);
SAVEPOINT before;
DO $$ BEGIN PERFORM FROM runtime_catalog.authenticate(sha256('a'), '', 'team-a/', NULL, 'r', false); END $$;
ROLLBACK TO before;
SELECT is(pg_temp.settings(), '-, -, -', 'they end with the transaction');
SELECT doesnt_match((SELECT prosrc FROM pg_proc WHERE proname = 'authenticate'), 'set_config\([^;]*false\)',
                    'none of them is set for the session, which a pooler hands on');

-- A token that is refused costs the same, whatever is wrong with it: so many looks into the table of tokens. (One that
-- ends with the parent of its parent costs one look more.)

INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, parent, expires_at, uses_left)
SELECT sha256(name::bytea), pg_temp.accessor(name), 1001, '{p}', pg_temp.accessor(parent), clock_timestamp() + ttl::interval, uses
  FROM (VALUES ('late', NULL, '-1 hour', NULL), ('childOfLate', 'late', '1 hour', NULL), ('used', NULL, NULL, 0))
       AS wanted (name, parent, ttl, uses);

CREATE FUNCTION pg_temp.looks(name text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    before bigint := (SELECT seq_scan + idx_scan FROM pg_stat_xact_user_tables WHERE relid = 'runtime_catalog.token'::regclass);
BEGIN
    PERFORM FROM runtime_catalog.authenticate(sha256(name::bytea), 'team-a/', '', NULL, 'a-request', true);
    IF FOUND THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT seq_scan + idx_scan FROM pg_stat_xact_user_tables WHERE relid = 'runtime_catalog.token'::regclass) - before;
END
$$;

SELECT ok(pg_temp.looks('no such token') >= 2, 'for an unknown token, and for the line that there is not');
SELECT is(pg_temp.looks(name), pg_temp.looks('no such token'), description)
  FROM (VALUES ('late', 'as many for one that expired'), ('used', 'that was used up'),
               ('childOfLate', 'that expired with its parent'), ('b', 'of another tenant'), ('root', 'of the one above'))
       AS tried (name, description);

-- The worker's statements. Each stands alone in its transaction, logged in as the worker; runs
-- under either kind of plan, with few rows and with many.

CREATE FUNCTION pg_temp.run(statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    answer  record;
    answers text[] := '{}';
    state   text;
    broken  text;
BEGIN
    PERFORM set_config('runtime_catalog.namespace_id', '', true),
            set_config('runtime_catalog.accessor', '', true),
            set_config('runtime_catalog.request_id', '', true),
            set_config('role', 'runtime_catalog_worker', true);
    FOR answer IN EXECUTE statement LOOP
        answers := answers || answer::text;
    END LOOP;
    PERFORM set_config('role', 'none', true);
    RETURN array_to_string(answers, ' ');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, broken = CONSTRAINT_NAME;
    RETURN concat_ws(' ', state, nullif(broken, ''));
END
$$;

PREPARE runtime_load (bytea, text, text, text, text, text, text, text) AS
SELECT caller.accessor,
       caller.namespace_id IS NOT NULL AS namespace_exists,
       (SELECT json_build_object('name', runtime.name, 'cpu_nanos', runtime.cpu_nanos)
          FROM runtime_catalog.runtime AS runtime
         WHERE runtime.namespace_id = caller.namespace_id
           AND runtime.type = $7
           AND runtime.name = $8) AS object
  FROM runtime_catalog.authenticate($1, $2, $3, $4::inet, $5, $6::boolean) AS caller;

PREPARE runtime_load_list (bytea, text, text, text, text, text, text) AS
SELECT caller.accessor,
       (SELECT coalesce(json_agg(runtime.name ORDER BY runtime.name, runtime.type), '[]')
          FROM runtime_catalog.runtime AS runtime
         WHERE runtime.namespace_id = caller.namespace_id
           AND (coalesce($7, '') = '' OR runtime.type = $7)) AS object
  FROM runtime_catalog.authenticate($1, $2, $3, $4::inet, $5, $6::boolean) AS caller;

PREPARE runtime_load_plugins (bytea, text, text, text, text, text, text, text) AS
SELECT caller.accessor,
       (SELECT coalesce(json_agg(plugin.name ORDER BY plugin.type, plugin.name, plugin.version), '[]')
          FROM runtime_catalog.plugin AS plugin
         WHERE plugin.namespace_id = caller.namespace_id
           AND plugin.runtime_type = $7
           AND plugin.runtime_name = $8) AS object
  FROM runtime_catalog.authenticate($1, $2, $3, $4::inet, $5, $6::boolean) AS caller;

PREPARE runtime_put (bytea, text, text, text, text, text, text, text, text, text, text, text, text) AS
INSERT INTO runtime_catalog.runtime AS runtime
       (namespace_id, type, name, oci_runtime, cgroup_parent, cpu_nanos, memory_bytes, rootless)
SELECT caller.namespace_id, $7, $8, $9, $10, $11::bigint, $12::bigint, $13::boolean
  FROM runtime_catalog.authenticate($1, $2, $3, $4::inet, $5, $6::boolean) AS caller
 WHERE caller.namespace_id IS NOT NULL
    ON CONFLICT (namespace_id, type, name) DO UPDATE
   SET oci_runtime   = excluded.oci_runtime,
       cgroup_parent = excluded.cgroup_parent,
       cpu_nanos     = excluded.cpu_nanos,
       memory_bytes  = excluded.memory_bytes,
       rootless      = excluded.rootless,
       updated_at    = excluded.updated_at
RETURNING true;

PREPARE runtime_delete (bytea, text, text, text, text, text, text, text) AS
SELECT runtime_catalog.delete_runtime(caller.namespace_id, $7, $8)
  FROM runtime_catalog.authenticate($1, $2, $3, $4::inet, $5, $6::boolean) AS caller;

-- "statement token namespace rest", in the order in which they run
CREATE FUNCTION pg_temp.tried(prefix text) RETURNS SETOF text
LANGUAGE sql AS $$
    SELECT is(pg_temp.run(format('EXECUTE %s (sha256(%L), %L, %L, NULL, %L, ''false'', ''container''%s)',
                                 statement, token, '', named, 'req-' || ordinal, rest)),
              expected, format('%s: %s of %s by %s%s', prefix, statement, named, token, rest))
      FROM (VALUES ( 1, 'runtime_load',         'a',       'team-a/',  ', ''r''', format('(%s,t,)', pg_temp.accessor('a'))),
                   ( 2, 'runtime_load_list',    'a',       'team-a/',  '',        format('(%s,[])', pg_temp.accessor('a'))),
                   ( 3, 'runtime_delete',       'a',       'team-a/',  ', ''r''', '()'),
                   ( 4, 'runtime_put',          'a',       'team-a/',  ', ''r'', ''runsc'', '''', ''1'', ''2'', ''true''', '(t)'),
                   ( 5, 'runtime_load',         'a',       'team-a/',  ', ''r''', format('(%s,t,"{""name"" : ""r"", ""cpu_nanos"" : 1}")', pg_temp.accessor('a'))),
                   ( 6, 'runtime_put',          'a',       'team-a/',  ', ''r'', ''runc'', '''', ''3'', ''2'', ''true''', '(t)'),
                   ( 7, 'runtime_load',         'root',    'team-a/',  ', ''r''', format('(%s,t,"{""name"" : ""r"", ""cpu_nanos"" : 3}")', pg_temp.accessor('root'))),
                   ( 8, 'runtime_load_list',    'a',       'team-a/',  '',        format('(%s,"[""r""]")', pg_temp.accessor('a'))),
                   ( 9, 'runtime_put',          'a',       'team-a/',  ', ''r'', ''runc'', '''', ''-1'', ''2'', ''true''', '23514 runtime_cpu_nanos_check'),
                   (10, 'runtime_put',          'a',       'team-a/',  ', ''-'', ''runc'', '''', ''1'', ''2'', ''true''', '23514 runtime_name_check'),
                   (11, 'runtime_put',          'a',       'team-b/',  ', ''r'', ''runsc'', '''', ''1'', ''2'', ''true''', ''),
                   (12, 'runtime_put',          'unknown', 'team-a/',  ', ''r'', ''runsc'', '''', ''1'', ''2'', ''true''', ''),
                   (13, 'runtime_load',         'a',       'team-b/',  ', ''r''', format('(%s,f,)', pg_temp.accessor('a'))),
                   (14, 'runtime_load',         'b',       'team-b/',  ', ''r''', format('(%s,t,)', pg_temp.accessor('b'))),
                   (15, 'runtime_load',         'unknown', 'team-a/',  ', ''r''', ''),
                   (16, 'runtime_delete',       'a',       'team-b/',  ', ''r''', '()'),
                   (17, 'runtime_delete',       'b',       'team-b/',  ', ''r''', '()'),
                   (18, 'runtime_delete',       'unknown', 'team-a/',  ', ''r''', ''),
                   (19, 'runtime_delete',       'ab',      'team-ab/', ', ''held''', '23503 plugin_runtime_fkey'),
                   (20, 'runtime_load_plugins', 'ab',      'team-ab/', ', ''held''', format('(%s,"[""holder"", ""holder""]")', pg_temp.accessor('ab'))),
                   (21, 'runtime_load_plugins', 'a',       'team-a/',  ', ''held''', format('(%s,[])', pg_temp.accessor('a'))),
                   (22, 'runtime_delete',       'a',       'team-a/',  ', ''r''', '(t)'),
                   (23, 'runtime_delete',       'a',       'team-a/',  ', ''r''', '()'),
                   (24, 'runtime_load_list',    'a',       'team-a/',  '',        format('(%s,[])', pg_temp.accessor('a'))))
           AS tried (ordinal, statement, token, named, rest, expected)
$$;
INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1002, 'container', 'held');
INSERT INTO runtime_catalog.plugin (namespace_id, type, name, version, runtime_type, runtime_name)
VALUES (1002, 'secret', 'holder', 'v1', 'container', 'held'), (1002, 'secret', 'holder', 'v2', 'container', 'held');

SET LOCAL plan_cache_mode = force_custom_plan;
SELECT pg_temp.tried('few rows, custom plans');
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT pg_temp.tried('few rows, generic plans');

SELECT is((SELECT string_agg(concat_ws(' ', operation, pg_temp.name(accessor), request_id), ', ' ORDER BY id)
             FROM (SELECT * FROM runtime_catalog.change WHERE table_name = 'runtime' AND namespace_id = 1001
                    ORDER BY id DESC LIMIT 3) AS latest),
          'insert a req-4, update a req-6, delete a req-22', 'history knows whose token and which request it was');

INSERT INTO runtime_catalog.namespace (id, path, parent_id) SELECT id, format('team-a/n%s/', id), 1001 FROM generate_series(2001, 2100) AS id;
INSERT INTO runtime_catalog.runtime (namespace_id, type, name)
SELECT 2001 + i % 100, 'container', 'r' || i FROM generate_series(1, 5000) AS i;
INSERT INTO runtime_catalog.runtime (namespace_id, type, name)
SELECT 1003, 'container', 'r' || i FROM generate_series(1, 5000) AS i;
INSERT INTO runtime_catalog.plugin (namespace_id, type, name, runtime_type, runtime_name)
SELECT namespace_id, 'secret', name, type, name FROM runtime_catalog.runtime WHERE namespace_id > 1002;
ANALYZE runtime_catalog.runtime, runtime_catalog.plugin, runtime_catalog.token, runtime_catalog.namespace;
SET LOCAL plan_cache_mode = force_custom_plan;
SELECT pg_temp.tried('10,000 rows, custom plans');
SET LOCAL plan_cache_mode = force_generic_plan;
SELECT pg_temp.tried('10,000 rows, generic plans');
SET LOCAL plan_cache_mode = auto;
SELECT is(pg_temp.run($$SELECT length((SELECT json_agg(runtime.name)::text FROM runtime_catalog.runtime AS runtime
                                        WHERE runtime.namespace_id = caller.namespace_id)) > 30000
                          FROM runtime_catalog.authenticate(sha256('b'), '', 'team-b/', NULL, '', false) AS caller$$),
          '(t)', 'one list of 5,000');

-- No row at all

DELETE FROM runtime_catalog.plugin;
DELETE FROM runtime_catalog.runtime;
ANALYZE runtime_catalog.runtime, runtime_catalog.plugin;
SELECT is(pg_temp.run(format('EXECUTE %s (sha256(''a''), '''', ''team-a/'', NULL, '''', ''false'', ''container''%s)', statement, rest)),
          expected, 'an empty table: ' || statement)
  FROM (VALUES ('runtime_load',         ', ''r''', format('(%s,t,)', pg_temp.accessor('a'))),
               ('runtime_load_list',    '',        format('(%s,[])', pg_temp.accessor('a'))),
               ('runtime_load_plugins', ', ''r''', format('(%s,[])', pg_temp.accessor('a'))),
               ('runtime_delete',       ', ''r''', '()'),
               ('runtime_put',          ', ''r'', ''runsc'', '''', ''0'', ''0'', ''false''', '(t)'))
       AS tried (statement, rest, expected);

-- delete_runtime: exactly the row that it names

INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1001, 'container', 's'), (1003, 'container', 'r');
SELECT is(runtime_catalog.delete_runtime(namespace_id, type, name), expected,
          format('delete_runtime(%s, %L, %L)', coalesce(namespace_id::text, 'null'), type, name))
  FROM (VALUES (1001::bigint, 'container', 'R',  NULL::boolean),
               (1001,         'vm',        'r',  NULL),
               (NULL,         'container', 'r',  NULL),
               (1001,         NULL,        'r',  NULL),
               (1001,         'container', NULL, NULL),
               (1001,         'container', 'r',  true),
               (1001,         'container', 'r',  NULL))
       AS tried (namespace_id, type, name, expected);
SELECT set_eq('SELECT namespace_id, name::text FROM runtime_catalog.runtime',
              $$VALUES (1001::bigint, 's'), (1003, 'r')$$, 'the others are still there');

SELECT finish();
ROLLBACK;
