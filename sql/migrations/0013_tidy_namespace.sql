-- 0013 tidy_namespace: a tenant tidies after itself alone.
--
-- requires:    0009_endpoints.sql
-- why:         auth/token/tidy deleted what had ended in every namespace, and signed it in the history
--              of others; tidy_tokens() stays, for the worker itself and for the operator
-- locks:       none
-- takes:       milliseconds
-- afterwards:  nothing to check

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (13, 'tidy_namespace', '0.1.0');

CREATE FUNCTION runtime_catalog.tidy_namespace(namespace_id bigint, batch integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH ended AS MATERIALIZED (
        SELECT token.hash
          FROM runtime_catalog.token AS token
         WHERE token.namespace_id = $1
           AND (token.expires_at <= clock_timestamp() OR token.used_up_at <= clock_timestamp() - interval '5 minutes')
         LIMIT $2
           FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM runtime_catalog.token AS token USING ended WHERE token.hash = ended.hash RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
COMMENT ON FUNCTION runtime_catalog.tidy_namespace(bigint, integer)
    IS 'As tidy_tokens(), of one namespace: what tokens below it end with one of its own go with it; how many of its own';
GRANT EXECUTE ON FUNCTION runtime_catalog.tidy_namespace(bigint, integer) TO runtime_catalog_worker;

COMMIT;
