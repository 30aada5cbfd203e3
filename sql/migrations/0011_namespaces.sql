-- 0011 namespaces: tenants over the API, and how many runtimes they may hold.
--
-- requires:    0009_endpoints.sql
-- why:         whoever holds a namespace makes others below it, and a host says how much each may hold
-- locks:       namespace, until its rows are checked; runtime, for the moment of a trigger's making
-- takes:       milliseconds; fails if a namespace is called like a part of the API's paths
-- afterwards:  runtime-catalogd -t
--
-- The functions of namespaces run inside a statement that has called authenticate(), as those of
-- tokens do: namespace_id is what that returned, and only what lies directly below it is reached.
-- Nobody sets max_runtimes there: it is the operator's word, not the tenant's.

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (11, 'namespaces', '0.1.0');

ALTER TABLE runtime_catalog.namespace
    ADD COLUMN custom_metadata jsonb NOT NULL DEFAULT '{}',
    ADD CONSTRAINT namespace_custom_metadata_check
        CHECK (jsonb_typeof(custom_metadata) = 'object' AND octet_length(custom_metadata::text) <= 4096),
    -- Behind one of these a path is the API's; src/namespace_path.c has the same.
    ADD CONSTRAINT namespace_reserved_check
        CHECK (path !~ '(^|/)(root|sys|audit|auth|cubbyhole|identity)/');
COMMENT ON COLUMN runtime_catalog.namespace.custom_metadata IS 'Names and texts for people and programs';
COMMENT ON COLUMN runtime_catalog.namespace.max_runtimes
    IS 'Runtimes that it and the namespaces below it may hold together; null: no limit';

-- Five characters as long as they last: every id has another one, and neighbours do not show.
CREATE FUNCTION runtime_catalog.namespace_label(id bigint) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT concat(nullif($1 / 916132832, 0), string_agg(
               substr('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
                      (($1 % 916132832) * 387420489 % 916132832 / power(62, place)::bigint % 62)::integer + 1, 1),
               '' ORDER BY place))
      FROM generate_series(0, 4) AS place
$$;
COMMENT ON FUNCTION runtime_catalog.namespace_label(bigint) IS 'What the API calls the id of a namespace; 916132832 is 62 to the fifth';

-- One of the namespaces directly below another. site is the path that the answer leaves out.
CREATE FUNCTION runtime_catalog.describe_namespace(namespace_id bigint, name text, site text) RETURNS json
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT json_build_object(
               'custom_metadata', (SELECT coalesce(json_object_agg(key, value ORDER BY key COLLATE "C"), '{}')
                                     FROM jsonb_each_text(namespace.custom_metadata)),
               'id',              runtime_catalog.namespace_label(namespace.id),
               'path',            substr(namespace.path, length($3) + 1))
      FROM runtime_catalog.namespace AS above
      JOIN runtime_catalog.namespace AS namespace
        ON namespace.path = above.path || $2 || '/' AND namespace.parent_id = above.id
     WHERE above.id = $1
$$;
COMMENT ON FUNCTION runtime_catalog.describe_namespace(bigint, text, text) IS 'A namespace directly below the caller''s, as the API has it; null: there is none of that name';

CREATE FUNCTION runtime_catalog.list_namespaces(namespace_id bigint, site text) RETURNS json
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT json_build_object(
               'key_info', coalesce(json_object_agg(child.key, runtime_catalog.describe_namespace($1, rtrim(child.key, '/'), $2)
                                                    ORDER BY child.key), '{}'),
               'keys',     coalesce(json_agg(child.key ORDER BY child.key), '[]'))
      FROM (SELECT substr(namespace.path, length(above.path) + 1) AS key
              FROM runtime_catalog.namespace AS above
              JOIN runtime_catalog.namespace AS namespace ON namespace.parent_id = above.id
             WHERE above.id = $1) AS child
$$;
COMMENT ON FUNCTION runtime_catalog.list_namespaces(bigint, text) IS 'The namespaces directly below the caller''s, as the API lists them';

-- One that exists stays, and has other metadata if some are given.
CREATE FUNCTION runtime_catalog.create_namespace(namespace_id bigint, name text, custom_metadata jsonb, site text) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO runtime_catalog.namespace AS namespace (path, parent_id, custom_metadata)
    SELECT above.path || $2 || '/', above.id, coalesce($3, '{}')
      FROM runtime_catalog.namespace AS above
     WHERE above.id = $1
        ON CONFLICT (path) DO UPDATE
       SET custom_metadata = excluded.custom_metadata, updated_at = excluded.updated_at
     WHERE $3 IS NOT NULL;
    RETURN runtime_catalog.describe_namespace($1, $2, $4);
END
$$;
COMMENT ON FUNCTION runtime_catalog.create_namespace(bigint, text, jsonb, text)
    IS 'Creates a namespace directly below the caller''s and describes it; null: the caller''s is gone';

CREATE FUNCTION runtime_catalog.patch_namespace(namespace_id bigint, name text, patch jsonb, site text) RETURNS json
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE runtime_catalog.namespace AS namespace
       SET custom_metadata = CASE jsonb_typeof($3) WHEN 'null' THEN '{}' ELSE jsonb_strip_nulls(namespace.custom_metadata || $3) END,
           updated_at = now()
      FROM runtime_catalog.namespace AS above
     WHERE $3 <> '{}' AND above.id = $1 AND namespace.parent_id = above.id AND namespace.path = above.path || $2 || '/';
    RETURN runtime_catalog.describe_namespace($1, $2, $4);
END
$$;
COMMENT ON FUNCTION runtime_catalog.patch_namespace(bigint, text, jsonb, text)
    IS 'Merges metadata into those of a namespace directly below the caller''s, null taking one or all away, and describes it; null: there is none';

-- What it holds is counted under a lock that whoever wants to put something in waits for. Tokens
-- that have ended do not count, they go along. The others have to be revoked, which the namespace
-- above can do by their accessors.
CREATE FUNCTION runtime_catalog.delete_namespace(namespace_id bigint, name text, OUT existed boolean, OUT holds text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target bigint;
BEGIN
    SELECT namespace.id
      INTO target
      FROM runtime_catalog.namespace AS namespace
      JOIN runtime_catalog.namespace AS above ON above.id = namespace.parent_id
     WHERE above.id = $1 AND namespace.path = above.path || $2 || '/'
       FOR UPDATE OF namespace;
    existed := FOUND;
    IF NOT existed THEN
        RETURN;
    END IF;
    SELECT string_agg(concat(held.number, ' ', CASE held.number WHEN 1 THEN held.one ELSE held.many END), ', ' ORDER BY held.place)
      INTO holds
      FROM (SELECT 1, 'namespace', 'namespaces', count(*) FROM runtime_catalog.namespace AS child WHERE child.parent_id = target
             UNION ALL
            SELECT 2, 'runtime', 'runtimes', count(*) FROM runtime_catalog.runtime AS runtime WHERE runtime.namespace_id = target
             UNION ALL
            SELECT 3, 'plugin', 'plugins', count(*) FROM runtime_catalog.plugin AS plugin WHERE plugin.namespace_id = target
             UNION ALL
            SELECT 4, 'policy', 'policies', count(*) FROM runtime_catalog.policy AS policy WHERE policy.namespace_id = target
             UNION ALL
            SELECT 5, 'token', 'tokens', count(*) FROM runtime_catalog.token AS token
             WHERE token.namespace_id = target AND token.uses_left IS DISTINCT FROM 0 AND runtime_catalog.token_is_live(token.accessor)
           ) AS held (place, one, many, number)
     WHERE held.number > 0;
    IF holds IS NULL THEN
        DELETE FROM runtime_catalog.token AS token WHERE token.namespace_id = target;
        DELETE FROM runtime_catalog.namespace AS namespace WHERE namespace.id = target;
    END IF;
END
$$;
COMMENT ON FUNCTION runtime_catalog.delete_namespace(bigint, text)
    IS 'Deletes a namespace directly below the caller''s; existed: whether there was one; holds: what keeps it, null: nothing, it is gone';

GRANT EXECUTE ON FUNCTION runtime_catalog.describe_namespace(bigint, text, text),
                          runtime_catalog.list_namespaces(bigint, text),
                          runtime_catalog.create_namespace(bigint, text, jsonb, text),
                          runtime_catalog.patch_namespace(bigint, text, jsonb, text),
                          runtime_catalog.delete_namespace(bigint, text)
   TO runtime_catalog_worker;
-- All paths below one are a range of the index, which starts_with() with a variable is not.
CREATE FUNCTION runtime_catalog.beyond_namespace(path text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE $1 WHEN '' THEN '~' ELSE left($1, -1) || '0' END
$$;
COMMENT ON FUNCTION runtime_catalog.beyond_namespace(text) IS 'What is greater than a namespace''s path and all below it, in the order of bytes: after a slash comes 0, after everything the tilde';

GRANT EXECUTE ON FUNCTION runtime_catalog.namespace_label(bigint),
                          runtime_catalog.beyond_namespace(text),
                          runtime_catalog.delete_namespace(bigint, text)
   TO runtime_catalog_operator;

-- The limit. A runtime counts for its namespace and for all above it, or who may create
-- namespaces could hold any number. Where a limit is set, registrations below it wait for each
-- other: the lock first, then a statement of its own to count, which sees what was committed
-- until then. Where none is set nothing is locked nor counted.
CREATE FUNCTION runtime_catalog.limit_runtimes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    above   bigint   := NEW.namespace_id;
    own     record;
    limited bigint[] := '{}';
    bound   record;
    held    bigint;
BEGIN
    -- Step by step: a recursive query would be planned for a thousand rows, and read them.
    WHILE above IS NOT NULL LOOP
        SELECT namespace.id, namespace.parent_id, namespace.max_runtimes
          INTO own
          FROM runtime_catalog.namespace AS namespace
         WHERE namespace.id = above;
        IF own.max_runtimes IS NOT NULL THEN
            limited := limited || own.id;
        END IF;
        above := own.parent_id;
    END LOOP;
    IF limited = '{}' THEN
        RETURN NULL;
    END IF;

    FOR bound IN
        SELECT namespace.path, namespace.max_runtimes
          FROM runtime_catalog.namespace AS namespace
         WHERE namespace.id = ANY (limited) AND namespace.max_runtimes IS NOT NULL
         ORDER BY namespace.path
           FOR NO KEY UPDATE OF namespace
    LOOP
        IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
            RAISE feature_not_supported
                USING MESSAGE = 'where max_runtimes is set, runtimes are registered in transactions that are READ COMMITTED';
        END IF;
        SELECT sum((SELECT count(*) FROM runtime_catalog.runtime AS runtime WHERE runtime.namespace_id = namespace.id))
          INTO held
          FROM runtime_catalog.namespace AS namespace
         WHERE namespace.path >= bound.path AND namespace.path < runtime_catalog.beyond_namespace(bound.path);
        IF held > bound.max_runtimes THEN
            RAISE check_violation
                USING CONSTRAINT = 'runtime_limit',
                      MESSAGE = format('the limit of runtimes is reached: max_runtimes = %s', bound.max_runtimes);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runtime_catalog.limit_runtimes() IS 'Refuses a runtime beyond the max_runtimes of its namespace or of one above';

-- Registrations that have seen no limit hold no lock but the foreign key's on their namespace:
-- they are waited for, or one that comes after would not see them.
CREATE FUNCTION runtime_catalog.begin_limit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM
       FROM runtime_catalog.namespace AS namespace
      WHERE namespace.path >= NEW.path AND namespace.path < runtime_catalog.beyond_namespace(NEW.path)
      ORDER BY namespace.path
        FOR UPDATE;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION runtime_catalog.begin_limit() IS 'Waits for the registrations under way, before a limit is set where there was none';

-- Triggers of one moment run in the order of their names: the foreign key's, RI_…, is first.
CREATE TRIGGER runtime_limit
    AFTER INSERT OR UPDATE OF namespace_id ON runtime_catalog.runtime
    FOR EACH ROW EXECUTE FUNCTION runtime_catalog.limit_runtimes();
CREATE TRIGGER namespace_limit
    BEFORE UPDATE OF max_runtimes ON runtime_catalog.namespace
    FOR EACH ROW WHEN (OLD.max_runtimes IS NULL AND NEW.max_runtimes IS NOT NULL)
    EXECUTE FUNCTION runtime_catalog.begin_limit();
ALTER TABLE runtime_catalog.runtime   ENABLE ALWAYS TRIGGER runtime_limit;
ALTER TABLE runtime_catalog.namespace ENABLE ALWAYS TRIGGER namespace_limit;

COMMIT;
