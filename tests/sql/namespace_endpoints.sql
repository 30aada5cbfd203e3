-- The functions of 0011: which namespaces they reach, what they show and change; the limit of runtimes.

BEGIN;
SET LOCAL search_path = pgtap, pg_catalog;
SELECT plan(126);

INSERT INTO runtime_catalog.namespace (id, path, parent_id, custom_metadata)
VALUES (1001, 'team-a/',      1,    '{"bb": "1", "a": "2", "ccc": "3"}'),
       (1002, 'team-b/',      1,    '{}'),
       (1011, 'team-a/x/',    1001, '{}'),
       (1012, 'team-a/x-y/',  1001, '{}'),
       (1013, 'team-a/x.y/',  1001, '{}'),
       (1021, 'team-a/x/x/',  1011, '{}'),
       (1022, 'team-b/x/',    1002, '{}');

-- namespace_label

SELECT is(runtime_catalog.namespace_label(id), label, format('number %s', id))
  FROM (VALUES (1, 'ZlZDQ'), (2, '8X9Rq'), (916132832, '100000'), (916132833, '1ZlZDQ')) AS wanted (id, label);
SELECT is((SELECT count(DISTINCT label) FILTER (WHERE label ~ '^[0-9A-Za-z]{5}$')
             FROM (SELECT runtime_catalog.namespace_label(id) AS label FROM generate_series(1, 3000) AS id
                    UNION ALL
                   SELECT runtime_catalog.namespace_label(id) FROM generate_series(916129832, 916132831) AS id) AS made),
          6000::bigint, 'five characters, and for each number others');
SELECT matches(runtime_catalog.namespace_label(9223372036854775807), '^[0-9]{11}[0-9A-Za-z]{5}$', 'the greatest number has one, too');

-- Who reaches which: those directly below, by their own name alone. Leaves nothing behind.

CREATE FUNCTION pg_temp.effect(statement text, namespace_id bigint, name text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE statement INTO answer USING namespace_id, name;
    RAISE SQLSTATE 'TT000';
EXCEPTION WHEN SQLSTATE 'TT000' THEN
    RETURN answer;
END
$$;
SELECT is(pg_temp.effect(statement, namespace_id, name), CASE WHEN reached THEN 'true' ELSE 'false' END,
          format('%s: number %s %s %L', call, coalesce(namespace_id::text, 'null'), CASE WHEN reached THEN 'reaches' ELSE 'does not reach' END, name))
  FROM (VALUES ('describe', 'SELECT runtime_catalog.describe_namespace($1, $2, '''') IS NOT NULL'),
               ('patch',    'SELECT runtime_catalog.patch_namespace($1, $2, ''{"p": "q"}'', '''') -> ''custom_metadata'' ->> ''p'' IS NOT NULL'),
               ('delete',   'SELECT existed FROM runtime_catalog.delete_namespace($1, $2)'))
       AS called (call, statement),
       (VALUES (1::bigint, 'team-a', true),
               (1,    'team-b',    true),
               (1001, 'x',         true),
               (1011, 'x',         true),
               (1,    'x',         false),
               (1,    'team-a/x',  false),
               (1,    'team-a/',   false),
               (1,    '',          false),
               (1,    'Team-a',    false),
               (1,    'team',      false),
               (1001, 'team-a',    false),
               (1001, 'team-b',    false),
               (1001, 'x/x',       false),
               (1001, '../team-b', false),
               (1002, 'x-y',       false),
               (1002, '',          false),
               (NULL, 'team-a',    false),
               (NULL, 'x',         false),
               (0,    'team-a',    false),
               (-1,   'team-a',    false),
               (1003, 'team-a',    false),
               (1001, NULL,        false))
       AS tried (namespace_id, name, reached);

-- What they show

SELECT is(runtime_catalog.describe_namespace(1, 'team-a', '')::text,
          '{"custom_metadata" : { "a" : "2", "bb" : "1", "ccc" : "3" }, "id" : "' || runtime_catalog.namespace_label(1001) || '", "path" : "team-a/"}',
          'a namespace, its metadata in the order of their names');
SELECT is(runtime_catalog.describe_namespace(1001, 'x', 'team-a/') ->> 'path', 'x/', 'its path begins below the site');
SELECT is(runtime_catalog.list_namespaces(1001, '') ->> 'keys', '["x-y/", "x.y/", "x/"]', 'those below, in the order of their keys');
SELECT is((SELECT string_agg(key || '=' || (value ->> 'path'), ' ' ORDER BY ordinality)
             FROM json_each(runtime_catalog.list_namespaces(1001, 'team-a/') -> 'key_info') WITH ORDINALITY),
          'x-y/=x-y/ x.y/=x.y/ x/=x/', 'with what is known of each, in that order, below the site');
SELECT is(runtime_catalog.list_namespaces(namespace_id, '')::jsonb, '{"keys": [], "key_info": {}}', format('below number %s is none', namespace_id))
  FROM unnest(ARRAY[1022, 1003, 0, NULL]) AS namespace_id;

-- Creating, patching

CREATE TEMPORARY TABLE highest ON COMMIT DROP AS SELECT max(id) AS id FROM runtime_catalog.change;
SELECT is(runtime_catalog.create_namespace(1002, 'new', '{"b": "1", "a": "2"}', 'team-b/')::jsonb
          - 'id', '{"path": "new/", "custom_metadata": {"a": "2", "b": "1"}}', 'a namespace is made below the one that is meant');
SELECT results_eq($$SELECT path, parent_id, max_runtimes FROM runtime_catalog.namespace WHERE path LIKE '%new%'$$,
                  $$VALUES ('team-b/new/'::text COLLATE "C", 1002::bigint, NULL::bigint)$$, 'and nowhere else');
SELECT is((runtime_catalog.create_namespace(1002, 'new', NULL, '') -> 'custom_metadata')::jsonb, '{"a": "2", "b": "1"}', 'made again it is as it was');
SELECT is((runtime_catalog.create_namespace(1002, 'new', '{"c": "3"}', '') -> 'custom_metadata')::jsonb, '{"c": "3"}', 'unless there are other metadata');
SELECT is((runtime_catalog.patch_namespace(1002, 'new', '{"d": "4", "c": null, "e": null}', '') -> 'custom_metadata')::jsonb, '{"d": "4"}', 'a patch adds and takes away');
SELECT is((runtime_catalog.patch_namespace(1002, 'new', '{}', '') -> 'custom_metadata')::jsonb, '{"d": "4"}', 'or does nothing');
SELECT is((runtime_catalog.patch_namespace(1002, 'new', 'null', '') -> 'custom_metadata')::jsonb, '{}', 'or takes all away');
SELECT is(runtime_catalog.patch_namespace(1002, 'absent', '{"a": "b"}', '')::text, NULL, 'of none there is none to patch');
SELECT is((SELECT string_agg(operation || ' ' || (new ->> 'custom_metadata'), ', ' ORDER BY id)
             FROM runtime_catalog.change WHERE id > (SELECT id FROM highest)),
          'insert {"a": "2", "b": "1"}, update {"c": "3"}, update {"d": "4"}, update {}', 'history has what changed, and nothing else');
SELECT is(runtime_catalog.create_namespace(namespace_id, 'new', NULL, '')::text, NULL, format('nothing is made below number %s', namespace_id))
  FROM unnest(ARRAY[1003, 0, -1, NULL]) AS namespace_id;
SELECT is((SELECT count(*) FROM runtime_catalog.namespace WHERE path LIKE '%new/'), 1::bigint, 'nor anywhere else');
SELECT throws_matching(format('SELECT runtime_catalog.create_namespace(1001, %L, NULL, '''')', name), violated, format('%L is no name', name))
  FROM (VALUES ('sys', 'namespace_reserved_check'), ('.a', 'namespace_path_check'), ('', 'namespace_path_check'),
               ('/', 'namespace_path_check'), ('a/b', 'namespace_parent_fkey'), ('x/new', 'namespace_parent_fkey'))
       AS tried (name, violated);

-- Deleting

SELECT is(holds, NULL, 'an empty one holds nothing') FROM runtime_catalog.delete_namespace(1002, 'new');
SELECT is((SELECT count(*) FROM runtime_catalog.namespace WHERE path = 'team-b/new/'), 0::bigint, 'and is gone');
SELECT results_eq($$SELECT existed, holds FROM runtime_catalog.delete_namespace(1, 'team-a')$$, $$VALUES (true, '3 namespaces')$$,
                  'one with three below it');
SELECT is((SELECT count(*) FROM runtime_catalog.namespace WHERE id = 1001), 1::bigint, 'stays');
INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1012, 'container', 'a'), (1012, 'container', 'b');
INSERT INTO runtime_catalog.plugin (namespace_id, type, name) VALUES (1012, 'secret', 'a');
INSERT INTO runtime_catalog.policy (namespace_id, name, text) VALUES (1012, 'p', '');
INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, parent, expires_at, uses_left)
VALUES (sha256('a'), repeat('a', 24), 1012, '{}', NULL,            NULL,                         NULL),
       (sha256('b'), repeat('b', 24), 1012, '{}', NULL,            now() + interval '1 hour',    3),
       (sha256('c'), repeat('c', 24), 1012, '{}', NULL,            now() - interval '1 second',  NULL),
       (sha256('d'), repeat('d', 24), 1012, '{}', repeat('c', 24), now() + interval '1 hour',    NULL),
       (sha256('e'), repeat('e', 24), 1012, '{}', NULL,            NULL,                         0),
       (sha256('f'), repeat('f', 24), 1013, '{}', NULL,            now() - interval '1 second',  NULL);
SELECT results_eq($$SELECT existed, holds FROM runtime_catalog.delete_namespace(1001, 'x-y')$$,
                  $$VALUES (true, '2 runtimes, 1 plugin, 1 policy, 2 tokens')$$, 'one with some of everything');
SELECT is((SELECT string_agg(left(accessor, 1), '' ORDER BY accessor) FROM runtime_catalog.token WHERE namespace_id IN (1012, 1013)), 'abcdef',
          'keeps it all');
DELETE FROM runtime_catalog.runtime WHERE namespace_id = 1012;
DELETE FROM runtime_catalog.plugin WHERE namespace_id = 1012;
DELETE FROM runtime_catalog.policy WHERE namespace_id = 1012;
SELECT results_eq($$SELECT existed, holds FROM runtime_catalog.delete_namespace(1001, 'x-y')$$, $$VALUES (true, '2 tokens')$$, 'but for tokens');
DELETE FROM runtime_catalog.token WHERE accessor IN (repeat('a', 24), repeat('b', 24));
SELECT results_eq($$SELECT existed, holds FROM runtime_catalog.delete_namespace(1001, 'x-y')$$, $$VALUES (true, NULL)$$, 'that have ended');
SELECT is((SELECT string_agg(left(accessor, 1), '' ORDER BY accessor) FROM runtime_catalog.token WHERE namespace_id IN (1012, 1013)), 'f',
          'which go along, of that namespace alone');
INSERT INTO runtime_catalog.namespace (id, path, parent_id) VALUES (1012, 'team-a/x-y/', 1001);
INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1012, 'container', 'a'), (1012, 'container', 'b');

SELECT is((SELECT string_agg(above.path || ' ' || below.path, ', ' ORDER BY above.path, below.path)
             FROM runtime_catalog.namespace AS above, runtime_catalog.namespace AS below
            WHERE (below.path >= above.path AND below.path < runtime_catalog.beyond_namespace(above.path) COLLATE "C")
                  IS DISTINCT FROM starts_with(below.path, above.path)),
          NULL, 'what lies below a path begins with it, and nothing else does');

-- The limit. What an insertion is refused with, if it is. Leaves nothing behind.

CREATE FUNCTION pg_temp.refusal(statement text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    broken text;
    said   text;
BEGIN
    EXECUTE statement;
    RAISE SQLSTATE 'TT000';
EXCEPTION
    WHEN SQLSTATE 'TT000' THEN
        RETURN '';
    WHEN check_violation THEN
        GET STACKED DIAGNOSTICS broken = CONSTRAINT_NAME, said = MESSAGE_TEXT;
        RETURN broken || ': ' || said;
END
$$;
CREATE FUNCTION pg_temp.insertion(namespace_id bigint, names text[]) RETURNS text
LANGUAGE sql AS $$
    SELECT pg_temp.refusal(format('INSERT INTO runtime_catalog.runtime (namespace_id, type, name) SELECT %s, ''container'', unnest(%L::text[])',
                                  namespace_id, names))
$$;
UPDATE runtime_catalog.namespace SET max_runtimes = CASE id WHEN 1001 THEN 4 WHEN 1011 THEN 1 WHEN 1022 THEN 0 END
 WHERE id IN (1001, 1011, 1022);
SELECT is(pg_temp.insertion(namespace_id, names), CASE WHEN bound IS NULL THEN '' ELSE 'runtime_limit: the limit of runtimes is reached: max_runtimes = ' || bound END,
          format('%s into number %s, where 2 are in 1012', names, namespace_id))
  FROM (VALUES (1001, '{c,d}'::text[], NULL),
               (1001, '{c,d,e}',      4),
               (1012, '{c,d}',        NULL),
               (1012, '{c,d,e}',      4),
               (1011, '{c}',          NULL),
               (1011, '{c,d}',        1),
               (1021, '{c}',          NULL),
               (1021, '{c,d}',        1),
               (1022, '{c}',          0),
               (1002, '{c,d,e,f,g}',  NULL),
               (1,    '{c,d,e,f,g}',  NULL))
       AS tried (namespace_id, names, bound);
SELECT is(pg_temp.refusal('UPDATE runtime_catalog.runtime SET namespace_id = 1022 WHERE name = ''a'''),
          'runtime_limit: the limit of runtimes is reached: max_runtimes = 0', 'one that moves counts where it comes to');
SELECT is(pg_temp.refusal('INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1012, ''container'', ''c''), (1012, ''container'', ''d'');'
                          'INSERT INTO runtime_catalog.runtime (namespace_id, type, name) VALUES (1012, ''container'', ''a'')'
                          ' ON CONFLICT (namespace_id, type, name) DO UPDATE SET cpu_nanos = 7'),
          '', 'one that is registered again is none more');
UPDATE runtime_catalog.namespace SET max_runtimes = 1 WHERE id = 1;
SELECT is(pg_temp.insertion(1002, '{c}'), 'runtime_limit: the limit of runtimes is reached: max_runtimes = 1', 'the root namespace''s limit is for all');
SELECT is(pg_temp.refusal('UPDATE runtime_catalog.runtime SET cpu_nanos = 1'), '', 'what is there may change, beyond the limit');
UPDATE runtime_catalog.namespace SET max_runtimes = NULL WHERE id = 1;
SELECT is(pg_temp.insertion(1002, '{c}'), '', 'without it there is room');

SELECT finish();
ROLLBACK;
