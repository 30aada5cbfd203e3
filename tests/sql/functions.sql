-- authenticate() and row-level security behind it, as the worker meets them; history.

BEGIN;
SET LOCAL search_path = pgtap, pg_catalog;
SELECT plan(48);
GRANT USAGE ON SCHEMA pgtap TO PUBLIC;

INSERT INTO runtime_catalog.namespace (id, path, parent_id)
SELECT wanted.id, wanted.path, root.id
  FROM runtime_catalog.namespace AS root,
       (VALUES (1001, 'team-a/'), (1002, 'team-ab/'), (1003, 'team-a/sub/')) AS wanted (id, path)
 WHERE root.path = '';
INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1001, 'p', 'path "x" {}');
INSERT INTO runtime_catalog.runtime (namespace_id, type, name)
SELECT id, 'container', 'of-' || id FROM runtime_catalog.namespace WHERE id > 1000;

-- Tokens by name: the hash is that of the name, the accessor ends in it.
CREATE FUNCTION pg_temp.accessor(name text) RETURNS text LANGUAGE sql AS
$$ SELECT CASE WHEN name IS NOT NULL THEN lpad(name, 24, '0') END $$;
CREATE FUNCTION pg_temp.token(name text, namespace bigint, parent text, ttl interval, uses integer, cidrs cidr[])
RETURNS void LANGUAGE sql AS $$
    INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, parent, expires_at, uses_left, bound_cidrs)
    VALUES (sha256(convert_to(name, 'UTF8')), pg_temp.accessor(name), namespace, '{p,absent}', pg_temp.accessor(parent),
            clock_timestamp() + ttl, uses, cidrs)
$$;
SELECT pg_temp.token(name, namespace, parent, ttl::interval, uses, cidrs::cidr[])
  FROM (VALUES ('root',      (SELECT id FROM runtime_catalog.namespace WHERE path = ''), NULL, NULL, NULL::integer, NULL),
               ('a',         1001, NULL,       NULL,   NULL, NULL),
               ('ab',        1002, NULL,       NULL,   NULL, NULL),
               ('expired',   1001, NULL,       '-1 s', NULL, NULL),
               ('live',      1001, NULL,       '1 h',  NULL, NULL),
               ('child',     1001, 'expired',  NULL,   NULL, NULL),
               ('grand',     1001, 'child',    NULL,   NULL, NULL),
               ('heir',      1001, 'live',     NULL,   NULL, NULL),
               ('two',       1001, NULL,       NULL,   2,    NULL),
               ('bound',     1001, NULL,       NULL,   NULL, '{10.0.0.0/8}')) AS t (name, namespace, parent, ttl, uses, cidrs);

-- accessor, namespace found and address, or '-' for no row
CREATE FUNCTION pg_temp.asked(name text, site text, named text, address text, spend boolean) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((SELECT concat_ws(' ', ltrim(c.accessor, '0'), c.namespace_id, CASE WHEN c.address_allowed THEN NULL ELSE 'bound' END)
                       FROM runtime_catalog.authenticate(sha256(convert_to(name, 'UTF8')), site, named, address::inet, 'r', spend) AS c), '-')
$$;
SELECT is(pg_temp.asked(name, site, named, address, false), expected, description)
  FROM (VALUES ('a',       '',         'team-a/',     NULL,       'a 1001',  'a token in its namespace'),
               ('nobody',  '',         'team-a/',     NULL,       '-',       'an unknown token'),
               ('expired', '',         'team-a/',     NULL,       '-',       'an expired token'),
               ('live',    '',         'team-a/',     NULL,       'live 1001', 'one that has not expired'),
               ('child',   '',         'team-a/',     NULL,       '-',       'the child of an expired token'),
               ('grand',   '',         'team-a/',     NULL,       '-',       'and its child'),
               ('heir',    '',         'team-a/',     NULL,       'heir 1001', 'the child of a live token'),
               ('a',       '',         'team-a/sub/', NULL,       'a 1003',  'a namespace below'),
               ('a',       '',         '',            NULL,       'a',       'the namespace above is out of reach'),
               ('a',       '',         'team-ab/',    NULL,       'a',       'so is one whose name begins alike'),
               ('ab',      '',         'team-a/',     NULL,       'ab',      'and one that is shorter'),
               ('root',    '',         'team-ab/',    NULL,       'root 1002', 'the root namespace reaches all'),
               ('root',    '',         'absent/',     NULL,       'root',    'but not what does not exist'),
               ('a',       'team-a/',  '',            NULL,       'a 1001',  'a site fixed to the namespace'),
               ('a',       'team-a/',  'sub/',        NULL,       'a 1003',  'and below it'),
               ('a',       'team-a/',  'team-a/',     NULL,       'a',       'names are looked up below the site'),
               ('root',    'team-a/',  '',            NULL,       '-',       'tokens above the site do not exist'),
               ('ab',      'team-a/',  '',            NULL,       '-',       'nor those of other sites'),
               ('bound',   '',         'team-a/',     '10.1.2.3', 'bound 1001', 'a bound token from its network'),
               ('bound',   '',         'team-a/',     '11.1.2.3', 'bound',   'from another one'),
               ('bound',   '',         'team-a/',     NULL,       'bound',   'from nowhere that is known')
       ) AS c (name, site, named, address, expected, description);
SELECT is((SELECT policies::text FROM runtime_catalog.authenticate(sha256('a'), '', 'team-a/', NULL, 'r', false)),
          '[["p", "path \"x\" {}"], ["absent", null]]', 'policies come with their text, or null');

-- Uses.
SELECT is(array[pg_temp.asked('two', '', 'team-a/', NULL, true), pg_temp.asked('two', '', 'team-a/', NULL, false),
                pg_temp.asked('two', '', 'team-a/', NULL, true), pg_temp.asked('two', '', 'team-a/', NULL, true)],
          '{two 1001,two 1001,two 1001,-}', 'two uses are two, and looking again takes none');
DELETE FROM runtime_catalog.token WHERE accessor = pg_temp.accessor('live');
SELECT is(pg_temp.asked('heir', '', 'team-a/', NULL, false), '-', 'a child goes with its parent');

-- Row-level security: nothing without a context, one namespace with it.
SET LOCAL ROLE runtime_catalog_worker;
SET LOCAL runtime_catalog.namespace_id = '';
SELECT is((SELECT count(*) FROM runtime_catalog.runtime), 0::bigint, 'an empty context sees nothing');
SET LOCAL runtime_catalog.namespace_id = '-1';
SELECT is((SELECT array_agg(r.name) FROM runtime_catalog.runtime AS r), NULL, 'nor does one that is no namespace');
SELECT is((SELECT count(*) FROM runtime_catalog.authenticate(sha256('a'), '', 'team-a/', NULL, 'req-1', false)), 1::bigint,
          'a token sets the context');
SELECT is((SELECT array_agg(r.name) FROM runtime_catalog.runtime AS r), '{of-1001}', 'which shows its namespace alone');
SELECT lives_ok($$INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1001, 'container', 'mine')$$,
                'rows can be written there');
SELECT throws_ok($$INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1002, 'container', 'theirs')$$,
                 '42501', NULL, 'and not elsewhere');
SELECT is((SELECT runtime_catalog.delete_runtime(1002, 'container', 'of-1002')), NULL, 'what is elsewhere is not there to delete');
SELECT is((SELECT runtime_catalog.delete_runtime(c.namespace_id, 'container', 'mine')
             FROM runtime_catalog.authenticate(sha256('a'), '', 'team-a/', NULL, 'req-2', false) AS c), true,
          'a delete in one statement with its token');
SELECT is((SELECT (SELECT r.name FROM runtime_catalog.runtime AS r
                    WHERE r.namespace_id = c.namespace_id AND r.type = 'container' AND r.name = 'of-1002')
             FROM runtime_catalog.authenticate(sha256('ab'), '', 'team-ab/', NULL, 'r', false) AS c), 'of-1002',
          'a read in one statement with its token');
RESET ROLE;

-- History.
SELECT is((SELECT array_agg(operation || ' ' || ltrim(accessor, '0') || ' ' || request_id ORDER BY id)
             FROM runtime_catalog.change WHERE table_name = 'runtime' AND key ->> 'name' = 'mine'),
          '{insert a req-1,delete a req-2}', 'history knows who and which request');
SELECT is((SELECT count(*) FROM runtime_catalog.change WHERE coalesce(old, new) ? 'hash'), 0::bigint, 'and never a hash');
SELECT is((SELECT count(*) FROM runtime_catalog.change WHERE table_name = 'token' AND operation = 'update'), 0::bigint,
          'a use is no history');
UPDATE runtime_catalog.token SET display_name = 'x' WHERE accessor = pg_temp.accessor('a');
SELECT is((SELECT old ->> 'display_name' || ' ' || (new ->> 'display_name') FROM runtime_catalog.change
            WHERE table_name = 'token' AND operation = 'update'), 'token x', 'another change of a token is');
SET LOCAL session_replication_role = replica;
INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1001, 'container', 'replicated');
SET LOCAL session_replication_role = origin;
SELECT is((SELECT count(*) FROM runtime_catalog.change WHERE key ->> 'name' = 'replicated'), 1::bigint,
          'triggers fire always');
UPDATE runtime_catalog.runtime SET name = 'moved' WHERE name = 'replicated';
SELECT is((SELECT array_agg(operation ORDER BY id) FROM
            (SELECT id, operation FROM runtime_catalog.change ORDER BY id DESC LIMIT 2) AS last),
          '{update,forget}', 'a row that moves makes caches forget');
TRUNCATE runtime_catalog.plugin;
SELECT is((SELECT table_name || ' ' || operation FROM runtime_catalog.change ORDER BY id DESC LIMIT 1), 'plugin truncate',
          'TRUNCATE is recorded');
DELETE FROM runtime_catalog.change WHERE table_name = 'plugin';
SELECT is((SELECT operation FROM runtime_catalog.change ORDER BY id DESC LIMIT 1), 'forget',
          'deleting history makes caches forget');

-- The foreign key.
INSERT INTO runtime_catalog.plugin (namespace_id, type, name, runtime_type, runtime_name)
VALUES (1001, 'secret', 'holder', 'container', 'of-1001');
SELECT throws_ok($$DELETE FROM runtime_catalog.runtime WHERE name = 'of-1001'$$, '23503', NULL, 'a runtime in use stays');
SELECT throws_ok($$INSERT INTO runtime_catalog.plugin (namespace_id, type, name, runtime_type, runtime_name)
                   VALUES (1001, 'secret', 'x', 'container', 'of-1002')$$, '23503', NULL, 'no plugin points into another namespace');
SELECT throws_ok($$INSERT INTO runtime_catalog.plugin (namespace_id, type, name, runtime_name)
                   VALUES (1001, 'secret', 'x', 'of-1001')$$, '23514', NULL, 'nor is half a key accepted');
SELECT throws_ok($$UPDATE runtime_catalog.runtime SET cpu_nanos = -1$$, '23514', NULL, 'limits are not negative');
SELECT throws_ok($$INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1001, 'root', '')$$, '23514', NULL,
                 'root is not stored');
SELECT is((SELECT count(*) FROM pg_constraint AS c JOIN pg_class AS t ON t.oid = c.conrelid
            WHERE t.relnamespace = 'runtime_catalog'::regnamespace
              AND c.conname !~ ('^' || t.relname || '_[a-z0-9_]+_?(pkey|key|fkey|check)$')
              AND c.conname !~ ('^' || t.relname || '_pkey$')), 0::bigint, 'every constraint is named after its table');
SELECT is((SELECT string_agg(t.relname || '.' || a.attname, ', ') FROM pg_attribute AS a JOIN pg_class AS t ON t.oid = a.attrelid
            WHERE t.relnamespace = 'runtime_catalog'::regnamespace AND t.relkind = 'r' AND a.attnum > 0
              AND (col_description(t.oid, a.attnum) IS NULL OR obj_description(t.oid) IS NULL)), NULL,
          'every table and column has a comment');
SELECT * FROM finish();
ROLLBACK;
