-- 0002 change: who changed what.
--
-- requires:    0001_schema_version.sql
-- why:         history for people, and what the workers' caches follow
-- locks:       none; everything is new
-- takes:       milliseconds
-- afterwards:  nothing to check; the tables that follow hang their triggers here

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (2, 'change', '0.1.0');

CREATE TABLE runtime_catalog.change (
    id           bigint       GENERATED ALWAYS AS IDENTITY,
    xid          xid8                     NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    changed_at   timestamptz              NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    table_name   text         COLLATE "C" NOT NULL,
    operation    text         COLLATE "C" NOT NULL,
    namespace_id bigint                       NULL,
    key          jsonb                        NULL,
    old          jsonb                        NULL,
    new          jsonb                        NULL,
    accessor     text         COLLATE "C"     NULL,
    request_id   text         COLLATE "C"     NULL,
    role_name    text         COLLATE "C" NOT NULL DEFAULT SESSION_USER,
    CONSTRAINT change_pkey            PRIMARY KEY (id),
    CONSTRAINT change_operation_check CHECK (operation IN ('insert', 'update', 'delete', 'truncate', 'forget'))
);

COMMENT ON TABLE  runtime_catalog.change              IS 'Every change of every table of the catalog, written by triggers in the transaction that made it';
COMMENT ON COLUMN runtime_catalog.change.id           IS 'Number of the change; no order of commits follows from it';
COMMENT ON COLUMN runtime_catalog.change.xid          IS 'The transaction that made it; caches follow this against pg_current_snapshot()';
COMMENT ON COLUMN runtime_catalog.change.changed_at   IS 'When the row changed, before the commit';
COMMENT ON COLUMN runtime_catalog.change.table_name   IS 'The table, without its schema';
COMMENT ON COLUMN runtime_catalog.change.operation    IS 'insert, update, delete, truncate; forget: caches drop everything';
COMMENT ON COLUMN runtime_catalog.change.namespace_id IS 'The namespace that the row belongs to; null for truncate and forget';
COMMENT ON COLUMN runtime_catalog.change.key          IS 'The key of the row within its namespace; of a token its accessor';
COMMENT ON COLUMN runtime_catalog.change.old          IS 'The row before, never a hash; null for insert';
COMMENT ON COLUMN runtime_catalog.change.new          IS 'The row after, never a hash; null for delete';
COMMENT ON COLUMN runtime_catalog.change.accessor     IS 'Accessor of the token that asked for it over the API; null otherwise';
COMMENT ON COLUMN runtime_catalog.change.request_id   IS 'The API request''s id, as in nginx''s log and in the answer; null otherwise';
COMMENT ON COLUMN runtime_catalog.change.role_name    IS 'The database role that was logged in';

-- What became visible since a snapshot: the query that caches repeat.
CREATE INDEX change_xid_idx ON runtime_catalog.change (xid);

GRANT SELECT ON runtime_catalog.change TO runtime_catalog_operator, runtime_catalog_reader;

-- The columns that make the key come as the trigger's arguments. SECURITY DEFINER, because
-- nobody but the owner may write history.
CREATE FUNCTION runtime_catalog.record_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    belongs_to CONSTANT text := CASE TG_TABLE_NAME WHEN 'namespace' THEN 'id' ELSE 'namespace_id' END;
    before     jsonb;
    after      jsonb;
    keys       jsonb;
BEGIN
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        before := to_jsonb(OLD) - 'hash';
    END IF;
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        after := to_jsonb(NEW) - 'hash';
    END IF;
    IF TG_OP <> 'TRUNCATE' THEN
        SELECT jsonb_object_agg(name, coalesce(before, after) -> name)
          INTO keys
          FROM unnest(TG_ARGV) AS name;
    END IF;

    INSERT INTO runtime_catalog.change
           (table_name, operation, namespace_id, key, old, new, accessor, request_id)
    VALUES (TG_TABLE_NAME, lower(TG_OP),
            (coalesce(before, after) ->> belongs_to)::bigint,
            keys, before, after,
            nullif(current_setting('runtime_catalog.accessor', true), ''),
            nullif(current_setting('runtime_catalog.request_id', true), ''));

    -- A row that moves leaves its old key behind: whoever remembers that must hear of it too.
    IF TG_OP = 'UPDATE'
       AND (keys, before -> belongs_to) IS DISTINCT FROM
           ((SELECT jsonb_object_agg(name, after -> name) FROM unnest(TG_ARGV) AS name), after -> belongs_to) THEN
        PERFORM runtime_catalog.forget();
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runtime_catalog.record_change() IS 'Writes one row of change; the key''s columns are the trigger''s arguments';

CREATE FUNCTION runtime_catalog.forget() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO runtime_catalog.change (table_name, operation) VALUES ('change', 'forget')
$$;
COMMENT ON FUNCTION runtime_catalog.forget() IS 'Makes every worker drop what it remembers; for after loading rows with triggers off';
GRANT EXECUTE ON FUNCTION runtime_catalog.forget() TO runtime_catalog_operator;

CREATE FUNCTION runtime_catalog.record_forgetting() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM runtime_catalog.forget();
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runtime_catalog.record_forgetting() IS 'What is deleted from change can no longer be followed, so workers are told to drop everything';

CREATE TRIGGER change_forgets
    AFTER DELETE OR TRUNCATE ON runtime_catalog.change
    FOR EACH STATEMENT EXECUTE FUNCTION runtime_catalog.record_forgetting();
-- Always: also when rows arrive by replication or with session_replication_role = replica.
ALTER TABLE runtime_catalog.change ENABLE ALWAYS TRIGGER change_forgets;

COMMIT;
