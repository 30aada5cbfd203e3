-- authenticate(), token_is_live(), delete_runtime(), and the worker's statements around them.

BEGIN;
SET LOCAL search_path = pgtap, pg_catalog;
SELECT plan(1);
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
               ('all4',       'team-a/',   '{p}',              NULL,         NULL,          NULL, '{0.0.0.0/0}'),
               ('nowhere',    'team-a/',   '{p}',              NULL,         NULL,          NULL, '{}'))
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
               ('all4',    '::1',             false),
               ('nowhere', '127.0.0.1',       false))
       AS tried (name, address, allowed);
SELECT is((SELECT policies FROM runtime_catalog.authenticate(sha256('v4'), '', 'team-a/', '11.0.0.0', '', false))::text, NULL,
          'a refused address learns nothing of the policies');

-- Uses

SELECT is(pg_temp.asked('uses3', '', 'team-a/', NULL, spend),
          CASE WHEN left_over IS NULL THEN 'none' ELSE 'uses3 ''team-a/'' 1001' END,
          description)
  FROM (VALUES (true,  2,    'the first of three uses'),
               (false, 2,    'a look that spends none'),
               (NULL,  2,    'nor does null'),
               (true,  1,    'the second'),
               (true,  0,    'the third'),
               (true,  NULL, 'there is no fourth'),
               (false, 0,    'the rest of the last request is not refused'))
       AS tried (spend, left_over, description);
SELECT finish();
ROLLBACK;
