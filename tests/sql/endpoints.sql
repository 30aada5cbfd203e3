-- The functions of 0009: what reaches a token, what it shows, how it is issued, renewed, ended.

BEGIN;
SET LOCAL search_path = pgtap, pg_catalog;
SELECT plan(211);

INSERT INTO runtime_catalog.namespace (id, path, parent_id)
VALUES (1001, 'team-a/', 1), (1002, 'team-b/', 1), (1011, 'team-a/x/', 1001);
INSERT INTO runtime_catalog.policy (namespace_id, name, text)
VALUES (1001, 'p', 'of team-a'), (1001, 'q', 'q'), (1002, 'other', 'of team-b'), (1, 'p', 'of the root namespace');

-- Tokens by name: a token's hash is that of its name, its accessor the name filled up to 24
-- characters. `ttl` is an interval from now; a negative one has passed.

CREATE FUNCTION pg_temp.hash(name text) RETURNS bytea LANGUAGE sql AS $$ SELECT sha256(name::bytea) $$;
CREATE FUNCTION pg_temp.accessor(name text) RETURNS text LANGUAGE sql AS $$ SELECT rpad(name, 24, '0') $$;
CREATE FUNCTION pg_temp.name(accessor text) RETURNS text LANGUAGE sql AS $$ SELECT rtrim(accessor, '0') $$;

CREATE FUNCTION pg_temp.issue(name text, namespace_id bigint, parent text DEFAULT NULL, ttl interval DEFAULT NULL,
                              uses integer DEFAULT NULL, cidrs cidr[] DEFAULT NULL) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, parent, expires_at, uses_left, bound_cidrs)
    VALUES (pg_temp.hash(name), pg_temp.accessor(name), namespace_id, '{p,absent,other}', pg_temp.accessor(parent),
            clock_timestamp() + ttl, uses, cidrs)
$$;
CREATE FUNCTION pg_temp.names() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(pg_temp.name(accessor), ' ' ORDER BY accessor) FROM runtime_catalog.token
$$;

DO $$
BEGIN
    PERFORM pg_temp.issue('root',         1),
            pg_temp.issue('a',            1001),
            pg_temp.issue('a2',           1001),
            pg_temp.issue('b',            1002),
            pg_temp.issue('ax',           1011),
            pg_temp.issue('hour',         1001, ttl => '1 hour'),
            pg_temp.issue('ofHour',       1001, 'hour'),
            pg_temp.issue('grandOfHour',  1002, 'ofHour'),
            pg_temp.issue('past',         1001, ttl => '-1 hour'),
            pg_temp.issue('justNow',      1001, ttl => '0'),
            pg_temp.issue('ofPast',       1001, 'past'),
            pg_temp.issue('grandOfPast',  1001, 'ofPast', ttl => '1 hour'),
            pg_temp.issue('oneUse',        1001, uses => 1),
            pg_temp.issue('usedUp',        1001, uses => 0);
END
$$;

-- reach_token: a live token of the namespace, or the caller's own wherever it is used

CREATE FUNCTION pg_temp.reached(namespace_id bigint, caller text, target_hash bytea, target_accessor text) RETURNS boolean
LANGUAGE sql AS $$
    SELECT coalesce(runtime_catalog.reach_token(namespace_id, pg_temp.hash(caller), target_hash, target_accessor)
                    = coalesce(target_hash, pg_temp.hash(pg_temp.name(target_accessor))), false)
$$;
SELECT is(pg_temp.reached(namespace_id, caller, CASE WHEN by_hash THEN pg_temp.hash(target) END,
                          CASE WHEN NOT by_hash THEN pg_temp.accessor(target) END),
          expected, format('%s in %s %s %s by %s', caller, namespace_id, CASE WHEN expected THEN 'reaches' ELSE 'does not reach' END,
                           target, CASE WHEN by_hash THEN 'hash' ELSE 'accessor' END))
  FROM (VALUES (1001, 'a',    'a',           true),
               (1001, 'a',    'a2',          true),
               (1001, 'root', 'a',           true),
               (1001, 'a',    'b',           false),
               (1001, 'a',    'root',        false),
               (1001, 'a',    'ax',          false),
               (1011, 'a',    'ax',          true),
               (1011, 'a',    'a',           true),
               (1011, 'a',    'a2',          false),
               (1,    'root', 'a',           false),
               (1,    'root', 'root',        true),
               (NULL, 'a',    'a',           true),
               (NULL, 'a',    'a2',          false),
               (1001, 'a',    'unknown',     false),
               (1001, 'a',    '',            false),
               (1001, 'a',    'A',           false),
               (1001, 'a',    'hour',        true),
               (1001, 'a',    'ofHour',      true),
               (1002, 'b',    'grandOfHour', true),
               (1001, 'a',    'past',        false),
               (1001, 'past', 'past',        false),
               (1001, 'a',    'justNow',     false),
               (1001, 'a',    'ofPast',      false),
               (1001, 'a',    'grandOfPast', false),
               (1001, 'grandOfPast', 'grandOfPast', false),
               (1001, 'a',    'oneUse',       true),
               (1001, 'a',    'usedUp',       false),
               (1001, 'usedUp', 'usedUp',      true))
       AS tried (namespace_id, caller, target, expected),
       (VALUES (true), (false)) AS manner (by_hash);
SELECT is(runtime_catalog.reach_token(1001, pg_temp.hash('a'), pg_temp.hash('a'), pg_temp.accessor('a2')), pg_temp.hash('a'),
          'of hash and accessor the hash counts');
SELECT is(runtime_catalog.reach_token(1001, pg_temp.hash('a'), NULL, NULL), NULL, 'neither reaches nothing');
SELECT is(runtime_catalog.reach_token(NULL, NULL, pg_temp.hash('a'), NULL), NULL, 'no namespace and no caller reach nothing');

-- The other functions reach what it reaches, and nothing else. Leaves nothing behind.

CREATE FUNCTION pg_temp.effect(statement text, namespace_id bigint, caller text, target text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE statement INTO answer USING namespace_id, pg_temp.hash(caller), pg_temp.hash(target);
    RAISE SQLSTATE 'TT000';
EXCEPTION WHEN SQLSTATE 'TT000' THEN
    RETURN answer;
END
$$;
SELECT is(pg_temp.effect(statement, namespace_id, caller, target), expected,
          format('%s in %s and %s: %s', caller, namespace_id, target, name))
  FROM (VALUES ('lookup',   'SELECT runtime_catalog.describe_token($1, $2, $3, NULL) ->> ''accessor'' IS NOT NULL',    'true',    'false'),
               ('policies', 'SELECT runtime_catalog.policies_of_token($1, $2, $3, NULL) IS NOT NULL',                  'true',    'false'),
               ('renew',    'SELECT refusal FROM runtime_catalog.renew_token($1, $2, $3, NULL, 0, 10)',                'no lease', 'unknown'),
               ('revoke',   'SELECT runtime_catalog.revoke_token($1, $2, $3, NULL, false)',                            'true',    'false'))
       AS call (name, statement, yes, no),
       LATERAL (VALUES (1001, 'a', 'a2',      yes),
                       (1011, 'a', 'a',       yes),
                       (1001, 'a', 'b',       no),
                       (1001, 'a', 'ax',      no),
                       (1,    'root', 'a',    no),
                       (1001, 'a', 'past',    no),
                       (1001, 'a', 'ofPast',  no),
                       (1001, 'a', 'usedUp',   no),
                       (1001, 'a', 'unknown', no)) AS tried (namespace_id, caller, target, expected);

-- list_accessors

SELECT is((SELECT string_agg(pg_temp.name(accessor), ' ' ORDER BY ordinality)
             FROM json_array_elements_text(runtime_catalog.list_accessors(namespace_id)) WITH ORDINALITY AS listed (accessor, ordinality)),
          expected, description)
  FROM (VALUES (1001, 'a a2 hour ofHour oneUse',  'the live tokens of a namespace, in order'),
               (1002, 'b grandOfHour',           'those of another, whatever namespace their parents are of'),
               (1011, 'ax',                      'not those above'),
               (1,    'root',                    'nor those below'))
       AS tried (namespace_id, expected, description);
SELECT is(runtime_catalog.list_accessors(namespace_id)::text, '[]', description)
  FROM (VALUES (1003::bigint, 'no such namespace has none'), (NULL, 'null has none')) AS tried (namespace_id, description);

-- policies_of_token

SELECT is((SELECT jsonb_agg(pair ORDER BY pair ->> 0)
             FROM json_array_elements(runtime_catalog.policies_of_token(namespace_id, pg_temp.hash(caller), pg_temp.hash(caller), NULL)) AS pair),
          expected::jsonb, description)
  FROM (VALUES (1001, 'a', '[["absent", null], ["other", null], ["p", "of team-a"]]', 'policies are those of the token''s namespace'),
               (1011, 'a', '[["absent", null], ["other", null], ["p", "of team-a"]]', 'also where it is used below'),
               (1002, 'b', '[["absent", null], ["other", "of team-b"], ["p", null]]', 'each namespace has its own'))
       AS tried (namespace_id, caller, expected, description);
UPDATE runtime_catalog.token SET policies = '{}' WHERE accessor = pg_temp.accessor('a2');
SELECT is(runtime_catalog.policies_of_token(1001, NULL, pg_temp.hash('a2'), NULL)::text, '[]', 'no policies are none, not null');

-- rfc3339

SELECT is(runtime_catalog.rfc3339(moment::timestamptz), expected, format('rfc3339: %s', coalesce(moment, 'null')))
  FROM (VALUES ('2026-01-02 03:04:05+00',        '2026-01-02T03:04:05Z'),
               ('2026-01-02 03:04:05.5+00',      '2026-01-02T03:04:05.5Z'),
               ('2026-01-02 03:04:05.123456+00', '2026-01-02T03:04:05.123456Z'),
               ('2026-01-02 03:04:05.000001+00', '2026-01-02T03:04:05.000001Z'),
               ('2026-01-02 03:04:05.100000+00', '2026-01-02T03:04:05.1Z'),
               ('2026-01-02 03:04:50+00',        '2026-01-02T03:04:50Z'),
               ('2026-01-02 03:04:05+02',        '2026-01-02T01:04:05Z'),
               ('2025-12-31 23:59:59.999999-01', '2026-01-01T00:59:59.999999Z'),
               (NULL,                            NULL))
       AS tried (moment, expected);
SET LOCAL timezone = 'Asia/Kathmandu';
SELECT is(runtime_catalog.rfc3339('2026-01-02 03:04:05+00'), '2026-01-02T03:04:05Z', 'rfc3339: in UTC wherever the session is');
SET LOCAL timezone = 'UTC';

-- describe_token: every key

CREATE FUNCTION pg_temp.described(caller text, target text) RETURNS jsonb LANGUAGE sql AS $$
    SELECT runtime_catalog.describe_token(1001, pg_temp.hash(caller), pg_temp.hash(target), NULL)::jsonb
$$;
UPDATE runtime_catalog.token
   SET created_at = '2026-01-02 03:04:05.75+00', display_name = 'token-x', path = 'auth/token/create-orphan'
 WHERE accessor IN (pg_temp.accessor('a'), pg_temp.accessor('hour'));
SELECT is(pg_temp.described('a', 'a'), jsonb_build_object(
    'accessor', pg_temp.accessor('a'), 'bound_cidrs', NULL, 'creation_time', 1767323045, 'creation_ttl', 0,
    'display_name', 'token-x', 'entity_id', '', 'expire_time', NULL, 'explicit_max_ttl', 0, 'id', '', 'issue_time', NULL,
    'last_renewal', NULL, 'last_renewal_time', NULL, 'meta', NULL, 'namespace_path', 'team-a/', 'num_uses', 0,
    'orphan', true, 'path', 'auth/token/create-orphan', 'period', NULL, 'policies', '["p", "absent", "other"]'::jsonb,
    'renewable', NULL, 'ttl', 0, 'type', 'service'), 'a token that never ends has no lease');
SELECT is((SELECT string_agg(key, ' ' ORDER BY ordinality)
             FROM json_object_keys(runtime_catalog.describe_token(1001, NULL, pg_temp.hash('a'), NULL)) WITH ORDINALITY AS listed (key, ordinality)),
          'accessor bound_cidrs creation_time creation_ttl display_name entity_id expire_time explicit_max_ttl id issue_time '
          'last_renewal last_renewal_time meta namespace_path num_uses orphan path period policies renewable ttl type',
          'keys come in the order of their bytes');
UPDATE runtime_catalog.token
   SET expires_at = date_trunc('second', clock_timestamp()) + interval '1 hour', renewed_at = '2026-01-03 00:00:00.9+00', ttl = 7200,
       explicit_max_ttl = 9000, period = 60, meta = '{"k": "v"}', uses_left = 3,
       bound_cidrs = '{10.0.0.0/8,192.0.2.7/32,2001:db8::/32,2001:db8::1/128}'
 WHERE accessor = pg_temp.accessor('hour');
SELECT is(pg_temp.described('a', 'hour') - 'ttl', jsonb_build_object(
    'accessor', pg_temp.accessor('hour'), 'bound_cidrs', '["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "2001:db8::1"]'::jsonb,
    'creation_time', 1767323045, 'creation_ttl', 7200, 'display_name', 'token-x', 'entity_id', '',
    'expire_time', (SELECT runtime_catalog.rfc3339(expires_at) FROM runtime_catalog.token WHERE accessor = pg_temp.accessor('hour')),
    'explicit_max_ttl', 9000, 'id', '', 'issue_time', '2026-01-02T03:04:05.75Z', 'last_renewal', '2026-01-03T00:00:00.9Z',
    'last_renewal_time', 1767398400, 'meta', '{"k": "v"}'::jsonb, 'namespace_path', 'team-a/', 'num_uses', 3, 'orphan', true,
    'path', 'auth/token/create-orphan', 'period', 60, 'policies', '["p", "absent", "other"]'::jsonb, 'renewable', true,
    'type', 'service'), 'one that ends has');
SELECT ok((pg_temp.described('a', 'hour') -> 'ttl')::bigint BETWEEN 3590 AND 3600, 'ttl is what is left');
SELECT is(pg_temp.described('a', 'ofHour') -> 'orphan', 'false', 'a child is no orphan');
SELECT is(pg_temp.described('usedUp', 'usedUp') -> 'num_uses', '-1', 'in its last request a token has -1 uses');
SELECT is(pg_temp.described('a', 'oneUse') -> 'num_uses', '1', 'with one left it has 1');
SELECT is(runtime_catalog.describe_token(1, NULL, pg_temp.hash('root'), NULL)::jsonb -> 'namespace_path', 'null',
          'the root namespace is not named');
UPDATE runtime_catalog.token SET expires_at = clock_timestamp() + interval '1 second 400 ms' WHERE accessor = pg_temp.accessor('hour');
SELECT is(pg_temp.described('a', 'hour') -> 'ttl', '1', 'ttl is rounded to the second');
UPDATE runtime_catalog.token
   SET renewable = false, period = 0, uses_left = NULL, bound_cidrs = NULL, expires_at = clock_timestamp() + interval '1 hour'
 WHERE accessor = pg_temp.accessor('hour');
SELECT is(pg_temp.described('a', 'hour') -> 'renewable', 'false', 'one that cannot be renewed says so');

-- create_token

CREATE FUNCTION pg_temp.created(name text, namespace_id bigint, caller text, orphan boolean, ttl bigint, uses integer DEFAULT 0)
RETURNS boolean LANGUAGE sql AS $$
    SELECT runtime_catalog.create_token(namespace_id, pg_temp.accessor(caller), pg_temp.hash(name), pg_temp.accessor(name),
                                        '["p", "q"]', orphan, 'a/path', 'a-name', '{"k": "v"}', false, ttl, 77, 7, uses)
$$;
UPDATE runtime_catalog.token SET bound_cidrs = '{10.0.0.0/8}' WHERE accessor = pg_temp.accessor('a2');
SELECT is(pg_temp.created(name, namespace_id, caller, orphan, ttl, uses), expected, description)
  FROM (VALUES ('child',    1001, 'a',       false, 100, 0,  true,          'create: a child'),
               ('orphan',   1001, 'a',       true,  100, 5,  true,          'create: an orphan'),
               ('endless',  1001, 'a',       false, 0,   0,  true,          'create: one without end'),
               ('bound',    1001, 'a2',      false, 100, 0,  true,          'create: by a bound token'),
               ('unbound',  1001, 'a2',      true,  100, 0,  true,          'create: an orphan by a bound token'),
               ('endlessBound', 1001, 'a2',      false, 0,   0,  true,          'create: one without end by a bound token'),
               ('below',    1011, 'a',       false, 100, 0,  true,          'create: in a namespace below'),
               ('nobody',   1001, 'unknown', false, 100, 0,  NULL::boolean, 'create: by a token that is gone'),
               ('nobody',   1001, 'unknown', true,  100, 0,  NULL,          'create: an orphan by a token that is gone'))
       AS tried (name, namespace_id, caller, orphan, ttl, uses, expected, description);
SELECT results_eq(
    $$SELECT pg_temp.name(accessor) COLLATE "C", hash = pg_temp.hash(pg_temp.name(accessor)), namespace_id, pg_temp.name(parent) COLLATE "C",
             extract(epoch FROM expires_at - created_at)::bigint, uses_left, bound_cidrs::text
        FROM runtime_catalog.token WHERE path = 'a/path' ORDER BY accessor$$,
    $$VALUES ('below' COLLATE "C", true, 1011::bigint, 'a' COLLATE "C",  100::bigint, NULL::integer, NULL),
             ('bound',    true, 1001,         'a2', 100,         NULL,          '{10.0.0.0/8}'),
             ('child',    true, 1001,         'a',  100,         NULL,          NULL),
             ('endless',  true, 1001,         'a',  NULL,        NULL,          NULL),
             ('endlessBound', true, 1001,     'a2', NULL,        NULL,          '{10.0.0.0/8}'),
             ('orphan',   true, 1001,         NULL, 100,         5,             NULL),
             ('unbound',  true, 1001,         NULL, 100,         NULL,          NULL)$$,
    'a child has its parent''s networks, an orphan none');
SELECT is((SELECT DISTINCT row(policies, display_name, meta, created_at = now(), renewed_at, renewable, explicit_max_ttl, period)::text
             FROM runtime_catalog.token WHERE path = 'a/path'),
          '("{p,q}",a-name,"{""k"": ""v""}",t,,f,77,7)', 'create: the rest as it was given');
SELECT throws_matching($$SELECT pg_temp.created('child', 1001, 'a', false, 100)$$, 'token_', 'create: the same token twice');
DELETE FROM runtime_catalog.token WHERE path = 'a/path';

-- renew_token: a token of `ttl` 100 (or as given) that was issued `age` seconds ago and has `has`
-- left. "refusal", or "ttl wanted bound". Leaves nothing behind.

CREATE FUNCTION pg_temp.renewed(age numeric, has numeric, own jsonb, increment bigint, max_ttl bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    answer  record;
    stored  runtime_catalog.token;
    history bigint;
BEGIN
    INSERT INTO runtime_catalog.token (hash, accessor, namespace_id, policies, created_at, expires_at, ttl, explicit_max_ttl, period, renewable)
    VALUES (pg_temp.hash('r'), pg_temp.accessor('r'), 1001, '{}', clock_timestamp() - make_interval(secs => age::double precision),
            clock_timestamp() + make_interval(secs => has::double precision), coalesce((own ->> 'ttl')::bigint, 100),
            coalesce((own ->> 'max')::bigint, 0), coalesce((own ->> 'period')::bigint, 0), coalesce((own ->> 'renewable')::boolean, true));
    SELECT max(id) FROM runtime_catalog.change INTO history;
    SELECT * FROM runtime_catalog.renew_token(1001, pg_temp.hash('a'), pg_temp.hash('r'), NULL, increment, max_ttl) INTO answer;
    SELECT * FROM runtime_catalog.token WHERE hash = pg_temp.hash('r') INTO stored;
    answer.refusal := concat_ws(' ', answer.refusal,
        CASE WHEN answer.refusal IS NOT NULL THEN CASE WHEN stored.renewed_at IS NOT NULL THEN 'and renewed' END
             WHEN stored.renewed_at NOT BETWEEN now() AND clock_timestamp() THEN 'wrong renewed_at'
             WHEN round(extract(epoch FROM stored.expires_at - stored.renewed_at)) <> answer.ttl THEN 'wrong expires_at'
             WHEN NOT EXISTS (SELECT FROM runtime_catalog.change WHERE id > history) THEN 'no history' END,
        CASE WHEN answer.refusal IS NULL THEN concat_ws(' ', answer.ttl, answer.wanted, coalesce(answer.bound::text, 'none')) END);
    RAISE SQLSTATE 'TT000';
EXCEPTION WHEN SQLSTATE 'TT000' THEN
    RETURN answer.refusal;
END
$$;
SELECT is(pg_temp.renewed(age, has, own::jsonb, increment, max_ttl), expected, 'renew: ' || description)
  FROM (VALUES (10,    90,      '{}',                                0,    1000, '100 100 1000', 'for what it was issued for'),
               (10,    90,      '{}',                                50,   1000, '50 50 1000',   'for less than it has'),
               (10,    90,      '{}',                                500,  1000, '500 500 1000', 'for more'),
               (10,    90,      '{}',                                990,  1000, '990 990 1000', 'for all that is left of the maximum'),
               (10,    90,      '{}',                                5000, 1000, '990 5000 1000', 'for more than that'),
               (10,    90,      '{}',                                -1,   1000, '100 100 1000', 'a negative increment is none'),
               (950,   90,      '{}',                                0,    1000, '50 100 1000',  'near the maximum'),
               (999,   90,      '{}',                                0,    1000, '1 100 1000',   'a second before the maximum'),
               (1000,  90,      '{}',                                0,    1000, 'past max',     'at the maximum'),
               (1001,  90,      '{}',                                0,    1000, 'past max',     'beyond the maximum'),
               (10,    90,      '{"max": 200}',                      500,  1000, '190 500 200',  'within its own maximum'),
               (10,    90,      '{"max": 2000}',                     5000, 1000, '990 5000 1000', 'its own maximum does not raise the general one'),
               (199,   90,      '{"max": 200}',                      0,    1000, '1 100 200',    'a second before its own maximum'),
               (200,   90,      '{"max": 200}',                      0,    1000, 'past max',     'at its own maximum'),
               (10,    90,      '{"period": 60}',                    0,    1000, '60 60 none',   'periodic: the period'),
               (10,    90,      '{"period": 60}',                    500,  1000, '60 60 none',   'periodic: whatever is asked for'),
               (5000,  90,      '{"period": 60}',                    0,    1000, '60 60 none',   'periodic: again and again'),
               (10,    90,      '{"period": 6000}',                  0,    1000, '1000 1000 none', 'periodic: cut to the maximum'),
               (10,    90,      '{"period": 60, "max": 200}',        0,    1000, '60 60 200',    'periodic: within its own maximum'),
               (160,   20,      '{"period": 60, "max": 200}',        0,    1000, '40 60 200',    'periodic: near its own maximum'),
               (200,   20,      '{"period": 60, "max": 200}',        0,    1000, 'past max',     'periodic: at its own maximum'),
               (1500,  20,      '{"period": 60, "max": 2000}',       0,    1000, '60 60 2000',   'periodic: its own maximum alone counts'),
               (10,    90,      '{"renewable": false}',              0,    1000, 'not renewable', 'one that is not renewable'),
               (2000,  90,      '{"renewable": false}',              0,    1000, 'not renewable', 'which comes before the maximum'),
               (10,    NULL,    '{}',                                0,    1000, 'no lease',     'one that never ends'),
               (10,    NULL,    '{"renewable": false}',              0,    1000, 'no lease',     'which comes first'),
               (10,    -1,      '{}',                                0,    1000, 'unknown',      'one that has expired'),
               (10,    0,       '{}',                                0,    1000, 'unknown',      'one that expires at this moment'))
       AS tried (age, has, own, increment, max_ttl, expected, description);
SELECT is((SELECT refusal FROM runtime_catalog.renew_token(1001, pg_temp.hash('a'), NULL, pg_temp.accessor('unknown'), 0, 10)), 'unknown',
          'renew: none with that accessor');
DO $$
BEGIN
    PERFORM pg_temp.issue('renewed', 1001, ttl => '1 hour');
END
$$;
UPDATE runtime_catalog.token SET ttl = 60 WHERE accessor = pg_temp.accessor('renewed');
SELECT is((SELECT ttl FROM runtime_catalog.renew_token(1001, pg_temp.hash('a'), NULL, pg_temp.accessor('renewed'), 0, 1000)), 60::bigint,
          'renew: by accessor');
SELECT is((SELECT string_agg(pg_temp.name(accessor), ' ' ORDER BY accessor) FROM runtime_catalog.token WHERE renewed_at >= now()), 'renewed',
          'and no other token was');

-- revoke_token: three generations

CREATE FUNCTION pg_temp.after_revoking(target text, by_hash boolean, keep_children boolean) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    DELETE FROM runtime_catalog.token WHERE namespace_id IN (1001, 1002, 1011);
    PERFORM pg_temp.issue('one',    1001),
            pg_temp.issue('two',    1001, 'one'),
            pg_temp.issue('twoB',   1002, 'one'),
            pg_temp.issue('three',  1001, 'two'),
            pg_temp.issue('threeB', 1001, 'two'),
            pg_temp.issue('other',  1001);
    answer := runtime_catalog.revoke_token(1001, pg_temp.hash('other'), CASE WHEN by_hash THEN pg_temp.hash(target) END,
                                           CASE WHEN NOT by_hash THEN pg_temp.accessor(target) END, keep_children);
    answer := answer || ': ' || (SELECT string_agg(concat_ws('<', pg_temp.name(accessor), pg_temp.name(parent)), ' ' ORDER BY accessor)
                                   FROM runtime_catalog.token WHERE namespace_id <> 1);
    RAISE SQLSTATE 'TT000';
EXCEPTION WHEN SQLSTATE 'TT000' THEN
    RETURN answer;
END
$$;
SELECT is(pg_temp.after_revoking(target, by_hash, keep_children), expected,
          format('revoke %s by %s%s', target, CASE WHEN by_hash THEN 'hash' ELSE 'accessor' END, CASE WHEN keep_children THEN ', keeping its children' END))
  FROM (VALUES ('one',     false, 'true: other'),
               ('two',     false, 'true: one other twoB<one'),
               ('three',   false, 'true: one other threeB<two two<one twoB<one'),
               ('one',     true,  'true: other three<two threeB<two two twoB'),
               ('two',     true,  'true: one other three threeB twoB<one'),
               ('three',   true,  'true: one other threeB<two two<one twoB<one'),
               ('other',   false, 'true: one three<two threeB<two two<one twoB<one'),
               ('twoB',    false, 'false: one other three<two threeB<two two<one twoB<one'),
               ('twoB',    true,  'false: one other three<two threeB<two two<one twoB<one'),
               ('unknown', false, 'false: one other three<two threeB<two two<one twoB<one'),
               ('unknown', true,  'false: one other three<two threeB<two two<one twoB<one'))
       AS tried (target, keep_children, expected),
       (VALUES (true), (false)) AS manner (by_hash);

-- tidy_tokens

DELETE FROM runtime_catalog.token WHERE namespace_id <> 1;
SELECT is(runtime_catalog.tidy_tokens(10), 0::bigint, 'tidy: nothing has ended');
DO $$
BEGIN
    PERFORM pg_temp.issue('alive',  1001, ttl => '1 hour'),
            pg_temp.issue('use1',   1001, uses => 1),
            pg_temp.issue('old1',   1001, ttl => '-3 hours'),
            pg_temp.issue('old2',   1002, ttl => '-2 hours'),
            pg_temp.issue('old3',   1001, ttl => '-1 hour'),
            pg_temp.issue('ofOld3', 1002, 'old3'),
            pg_temp.issue('grand3', 1001, 'ofOld3', ttl => '1 hour'),
            pg_temp.issue('justNow', 1001, ttl => '0'),
            pg_temp.issue('used',   1001, uses => 0),
            pg_temp.issue('ofUsed', 1001, 'used'),
            pg_temp.issue('oldOfUsed', 1001, 'used', ttl => '-1 second'),
            pg_temp.issue('usedNow', 1001, uses => 0);
END
$$;
UPDATE runtime_catalog.token SET used_up_at = clock_timestamp() - interval '5 minutes' WHERE accessor = pg_temp.accessor('used');
UPDATE runtime_catalog.token SET used_up_at = clock_timestamp() - interval '4 minutes' WHERE accessor = pg_temp.accessor('usedNow');
SELECT is(runtime_catalog.tidy_tokens(0), 0::bigint, 'tidy: a batch of none');
SELECT is(runtime_catalog.tidy_tokens(2), 2::bigint, 'tidy: no more than a batch');
SELECT is(pg_temp.names(), 'alive grand3 justNow ofOld3 ofUsed old3 oldOfUsed root use1 used usedNow', 'the oldest first');
SELECT is(runtime_catalog.tidy_tokens(10), 4::bigint, 'tidy: counts what had ended, of every namespace');
SELECT is(pg_temp.names(), 'alive root use1 usedNow', 'and takes along what ends with it, but not what may be at its last request');
SELECT is(runtime_catalog.tidy_tokens(10), 0::bigint, 'tidy: once');
SELECT is((SELECT count(*) FROM runtime_catalog.change WHERE operation = 'delete' AND key ->> 'accessor' = pg_temp.accessor('grand3')), 1::bigint,
          'what tidying takes is history');

-- tidy_namespace

DO $$
BEGIN
    PERFORM pg_temp.issue('old1',   1001, ttl => '-3 hours'),
            pg_temp.issue('old2',   1002, ttl => '-2 hours'),
            pg_temp.issue('used2',  1002, uses => 0),
            pg_temp.issue('now2',   1002, uses => 0),
            pg_temp.issue('alive2', 1002, ttl => '1 hour');
END
$$;
UPDATE runtime_catalog.token SET used_up_at = clock_timestamp() - interval '5 minutes' WHERE accessor = pg_temp.accessor('used2');
SELECT is(runtime_catalog.tidy_namespace(namespace_id, batch), 0::bigint, format('tidy namespace %s, %s at most', coalesce(namespace_id::text, 'null'), batch))
  FROM (VALUES (NULL::bigint, 10), (1, 10), (1003, 10), (1002, 0)) AS tried (namespace_id, batch);
SELECT is(runtime_catalog.tidy_namespace(1002, 10), 2::bigint, 'tidy: what had ended of one namespace');
SELECT is(pg_temp.names(), 'alive alive2 now2 old1 root use1 usedNow', 'and of no other');

-- delete_policy

SELECT is(runtime_catalog.delete_policy(namespace_id, name), expected, format('delete_policy(%s, %L)', coalesce(namespace_id::text, 'null'), name))
  FROM (VALUES (1001::bigint, 'P',    NULL::boolean),
               (1001,         'other', NULL),
               (NULL,         'p',    NULL),
               (1001,         NULL,   NULL),
               (1001,         'p',    true),
               (1001,         'p',    NULL))
       AS tried (namespace_id, name, expected);
SELECT set_eq('SELECT namespace_id, name::text FROM runtime_catalog.policy',
              $$VALUES (1001::bigint, 'q'), (1002, 'other'), (1, 'p')$$, 'the others are still there');

SELECT finish();
ROLLBACK;
