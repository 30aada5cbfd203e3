-- Makes change a table that is partitioned by time, once, while the catalog is in use.
--
-- why:    old history then goes with a partition, at once and without VACUUM
-- who:    a member of runtime_catalog_owner
-- locks:  an index and a check are made beside reads and writes, in the time that it takes to read
--         change twice. Then ACCESS EXCLUSIVE on change for a moment, which it waits for no longer
--         than a second. If it does not get it, or breaks off anywhere: run it again, soon, because
--         a check that is left behind refuses all writes when its month has ended. To give up:
--         ALTER TABLE runtime_catalog.change DROP CONSTRAINT change_before_check
--
-- What is there becomes the partition change_before, until the end of this month or, in its last
-- week, of the next. change_other takes what no partition is there for, so that no write ever fails
-- for want of one. Then run partition-add.sql, and every month again.

SET ROLE runtime_catalog_owner;
SET timezone = 'UTC';
SET client_min_messages = warning;

DO $$
BEGIN
    IF (SELECT relkind FROM pg_catalog.pg_class WHERE oid = 'runtime_catalog.change'::regclass) = 'p' THEN
        RAISE 'change is partitioned already';
    END IF;
END
$$;

-- What the key of a partitioned table has to have in it; and a check, so that nobody has to read
-- the rows when they become a partition.
DROP INDEX CONCURRENTLY IF EXISTS runtime_catalog.change_before_pkey;
CREATE UNIQUE INDEX CONCURRENTLY change_before_pkey ON runtime_catalog.change (id, changed_at);

DO $$
BEGIN
    SET LOCAL lock_timeout = '1s';
    EXECUTE pg_catalog.format(
        'ALTER TABLE runtime_catalog.change DROP CONSTRAINT IF EXISTS change_before_check, '
        'ADD CONSTRAINT change_before_check CHECK (changed_at < %L) NOT VALID',
        pg_catalog.date_trunc('month', pg_catalog.now() + interval '1 month 7 days'));
END
$$;
ALTER TABLE runtime_catalog.change VALIDATE CONSTRAINT change_before_check;

BEGIN;

SET LOCAL lock_timeout = '1s';
LOCK TABLE runtime_catalog.change IN ACCESS EXCLUSIVE MODE;

ALTER TABLE runtime_catalog.change RENAME TO change_before;
ALTER TABLE runtime_catalog.change_before DROP CONSTRAINT change_pkey;
ALTER TABLE runtime_catalog.change_before ADD CONSTRAINT change_before_pkey PRIMARY KEY USING INDEX change_before_pkey;
ALTER INDEX runtime_catalog.change_xid_idx RENAME TO change_before_xid_idx;
ALTER INDEX runtime_catalog.change_namespace_idx RENAME TO change_before_namespace_idx;

CREATE TABLE runtime_catalog.change (
    LIKE runtime_catalog.change_before INCLUDING DEFAULTS INCLUDING IDENTITY INCLUDING STORAGE INCLUDING COMMENTS,
    CONSTRAINT change_pkey PRIMARY KEY (id, changed_at)
) PARTITION BY RANGE (changed_at);
COMMENT ON TABLE runtime_catalog.change IS 'Every change of every table of the catalog, written by triggers in the transaction that made it';
CREATE INDEX change_xid_idx ON runtime_catalog.change (xid);
CREATE INDEX change_namespace_idx ON runtime_catalog.change (namespace_id) WHERE table_name = 'namespace';
GRANT SELECT ON runtime_catalog.change TO runtime_catalog_operator, runtime_catalog_reader;
CREATE TRIGGER change_forgets
    AFTER DELETE OR TRUNCATE ON runtime_catalog.change
    FOR EACH STATEMENT EXECUTE FUNCTION runtime_catalog.record_forgetting();
ALTER TABLE runtime_catalog.change ENABLE ALWAYS TRIGGER change_forgets;

DO $$
BEGIN
    -- The numbers go on.
    PERFORM pg_catalog.setval(pg_catalog.pg_get_serial_sequence('runtime_catalog.change', 'id'),
                              pg_catalog.nextval(pg_catalog.pg_get_serial_sequence('runtime_catalog.change_before', 'id')), false);
    ALTER TABLE runtime_catalog.change_before ALTER id DROP IDENTITY;
    EXECUTE pg_catalog.format(
        'ALTER TABLE runtime_catalog.change ATTACH PARTITION runtime_catalog.change_before FOR VALUES FROM (MINVALUE) TO (%L)',
        pg_catalog.date_trunc('month', pg_catalog.now() + interval '1 month 7 days'));
END
$$;
ALTER TABLE runtime_catalog.change_before DROP CONSTRAINT change_before_check;
COMMENT ON TABLE runtime_catalog.change_before IS 'The part of change from before it was partitioned';

CREATE TABLE runtime_catalog.change_other PARTITION OF runtime_catalog.change DEFAULT;
COMMENT ON TABLE runtime_catalog.change_other IS 'The part of change that no partition was there for; partition-add.sql empties it';
CREATE TRIGGER change_other_forgets
    AFTER DELETE OR TRUNCATE ON runtime_catalog.change_other
    FOR EACH STATEMENT EXECUTE FUNCTION runtime_catalog.record_forgetting();
ALTER TABLE runtime_catalog.change_other ENABLE ALWAYS TRIGGER change_other_forgets;

COMMIT;

RESET client_min_messages;
RESET timezone;
RESET ROLE;
