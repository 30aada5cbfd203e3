-- 0019 indexes: tokens that have ended are found by their indexes, and so are namespaces that are gone.
--
-- requires:    0013_tidy_namespace.sql, 0016_record.sql
-- why:         clock_timestamp() is another one for each row, which no index can serve: all tokens were
--              read each time; and the history of a namespace that is gone was read for its name alone
-- locks:       change, against writes, while it is read once
-- takes:       seconds for each ten million rows of change
-- afterwards:  nothing to check

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;
SET LOCAL lock_timeout = '500ms';

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (19, 'indexes', '0.1.0');

-- What a namespace is or was called, in the history of what belongs to it.
CREATE INDEX change_namespace_idx ON runtime_catalog.change (namespace_id) WHERE table_name = 'namespace';

CREATE OR REPLACE FUNCTION runtime_catalog.list_accessors(namespace_id bigint) RETURNS json
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    -- From the expired ones down, once: to ask token_is_live() of each walks a long line again and again.
    WITH RECURSIVE ended (accessor) AS (
        SELECT token.accessor
          FROM runtime_catalog.token AS token
         WHERE token.expires_at <= statement_timestamp()
        UNION
        SELECT token.accessor
          FROM ended
          JOIN runtime_catalog.token AS token ON token.parent = ended.accessor
    )
    SELECT coalesce(json_agg(token.accessor ORDER BY token.accessor), '[]')
      FROM runtime_catalog.token AS token
     WHERE token.namespace_id = $1
       AND (token.uses_left IS NULL OR token.uses_left > 0)
       AND NOT EXISTS (SELECT FROM ended WHERE ended.accessor = token.accessor)
$$;

CREATE OR REPLACE FUNCTION runtime_catalog.tidy_tokens(batch integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH ended AS MATERIALIZED (
        SELECT token.hash
          FROM runtime_catalog.token AS token
         WHERE token.expires_at <= statement_timestamp() OR token.used_up_at <= statement_timestamp() - interval '5 minutes'
         ORDER BY token.expires_at
         LIMIT $1
           FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM runtime_catalog.token AS token USING ended WHERE token.hash = ended.hash RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

CREATE OR REPLACE FUNCTION runtime_catalog.tidy_namespace(namespace_id bigint, batch integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH ended AS MATERIALIZED (
        SELECT token.hash
          FROM runtime_catalog.token AS token
         WHERE token.namespace_id = $1
           AND (token.expires_at <= statement_timestamp() OR token.used_up_at <= statement_timestamp() - interval '5 minutes')
         LIMIT $2
           FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM runtime_catalog.token AS token USING ended WHERE token.hash = ended.hash RETURNING 1
    )
    SELECT count(*) FROM gone
$$;

COMMIT;
