-- 0012 follow: what changed since a worker last asked.
--
-- requires:    0002_change.sql
-- why:         what workers remember is kept true by asking, every few milliseconds, which changes
--              became visible; the worker reads who it is about and never what it was or is
-- locks:       none
-- takes:       milliseconds
-- afterwards:  nothing to check

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (12, 'follow', '0.1.0');

-- Visible now and not in the snapshot before: begun since, or under way then. A transaction that
-- commits late is found by the second half, however long it was open; one that is still open costs
-- nothing. STABLE, so that all of it sees the one snapshot of the statement around it.
--
-- Two ranges of the index, never the whole table, however little the planner knows of it.
CREATE FUNCTION runtime_catalog.follow_changes(
    since pg_snapshot,       -- pg_current_snapshot() of the last answer; null: nothing is asked for
    OUT table_name   text,
    OUT namespace_id bigint, -- null: TRUNCATE or forget()
    OUT key          jsonb,  -- likewise; of a token its accessor
    OUT xid          xid8,
    OUT id           bigint
) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 10 SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
DECLARE
    before CONSTANT xid8   := pg_snapshot_xmax(since);
    open   CONSTANT xid8[] := array(SELECT pg_snapshot_xip(since));
    until  CONSTANT xid8   := pg_snapshot_xmax(pg_current_snapshot());
BEGIN
    IF since IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT change.table_name, change.namespace_id, change.key, change.xid, change.id
          FROM runtime_catalog.change AS change
         WHERE change.xid >= before AND change.xid < until
         UNION ALL
        SELECT change.table_name, change.namespace_id, change.key, change.xid, change.id
          FROM runtime_catalog.change AS change
         WHERE change.xid = ANY (open) AND change.xid < until
         LIMIT 10001;
END
$$;
COMMENT ON FUNCTION runtime_catalog.follow_changes(pg_snapshot)
    IS 'The changes that became visible since a snapshot; 10001 rows: too many to name them all';
GRANT EXECUTE ON FUNCTION runtime_catalog.follow_changes(pg_snapshot) TO runtime_catalog_worker;

COMMIT;
