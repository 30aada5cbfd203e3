-- 0016 record: the same history for half the work.
--
-- requires:    0007_token.sql
-- why:         a write with its row of history took twice as long as one without
-- locks:       change, against everybody, for a moment
-- takes:       milliseconds
-- afterwards:  queries/who-changed-what.sql   shows what a write leaves

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;
SET LOCAL lock_timeout = '500ms';

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (16, 'record', '0.1.0');

-- PostgreSQL reads the text of a CHECK anew for each statement, which took a fifth of the time of
-- a row of history. Nobody but these functions writes one.
ALTER TABLE runtime_catalog.change
    DROP CONSTRAINT change_operation_check,
    ALTER accessor   SET DEFAULT nullif(pg_catalog.current_setting('runtime_catalog.accessor', true), ''),
    ALTER request_id SET DEFAULT nullif(pg_catalog.current_setting('runtime_catalog.request_id', true), '');

-- The keys stand here, table by table: to find them by the trigger's arguments took two queries. A
-- table that is not here cannot be written. For the same reason as above there is an IF where a
-- trigger could have a WHEN.
CREATE OR REPLACE FUNCTION runtime_catalog.record_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    it         record;  -- the row as it was, or is if it is new
    belongs_to bigint;
    keys       jsonb;
    moves      boolean; -- null: it comes or goes
    before     jsonb;
    after      jsonb;
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO runtime_catalog.change (table_name, operation) VALUES (TG_TABLE_NAME, 'truncate');
        RETURN NULL;
    END IF;

    IF TG_OP = 'INSERT' THEN
        it := NEW;
    ELSE
        it := OLD;
    END IF;
    before := to_jsonb(OLD);
    after := to_jsonb(NEW);
    CASE TG_TABLE_NAME
        WHEN 'runtime' THEN
            belongs_to := it.namespace_id;
            keys := jsonb_build_object('type', it.type, 'name', it.name);
            moves := (it.namespace_id, it.type, it.name) <> (NEW.namespace_id, NEW.type, NEW.name);
        WHEN 'token' THEN
            belongs_to := it.namespace_id;
            keys := jsonb_build_object('accessor', it.accessor);
            moves := (it.namespace_id, it.accessor) <> (NEW.namespace_id, NEW.accessor);
            before := before - 'hash';
            after := after - 'hash';
        WHEN 'plugin' THEN
            belongs_to := it.namespace_id;
            keys := jsonb_build_object('type', it.type, 'name', it.name, 'version', it.version);
            moves := (it.namespace_id, it.type, it.name, it.version) <> (NEW.namespace_id, NEW.type, NEW.name, NEW.version);
        WHEN 'policy' THEN
            belongs_to := it.namespace_id;
            keys := jsonb_build_object('name', it.name);
            moves := (it.namespace_id, it.name) <> (NEW.namespace_id, NEW.name);
        WHEN 'namespace' THEN
            belongs_to := it.id;
            keys := jsonb_build_object('path', it.path);
            moves := (it.id, it.path) <> (NEW.id, NEW.path);
    END CASE;
    INSERT INTO runtime_catalog.change (table_name, operation, namespace_id, key, old, new)
    VALUES (TG_TABLE_NAME, lower(TG_OP), belongs_to, keys, before, after);

    -- A row that moves leaves its old key behind: whoever remembers that must hear of it too.
    IF moves THEN
        PERFORM runtime_catalog.forget();
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION runtime_catalog.record_change() IS 'Writes one row of change; knows the keys of each table, whatever the trigger''s arguments say';

COMMIT;
