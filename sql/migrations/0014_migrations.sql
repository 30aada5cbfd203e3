-- 0014 migrations: whoever remembers what was read hears of a migration, too.
--
-- requires:    0002_change.sql
-- why:         a migration may change what the same rows and functions yield without changing a row
-- locks:       schema_version, for the moment of a trigger's making
-- takes:       milliseconds
-- afterwards:  runtime-catalogd -t

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;
SET LOCAL lock_timeout = '500ms';

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (14, 'migrations', '0.1.0');

CREATE TRIGGER schema_version_forgets
    AFTER INSERT ON runtime_catalog.schema_version
    FOR EACH STATEMENT EXECUTE FUNCTION runtime_catalog.record_forgetting();
ALTER TABLE runtime_catalog.schema_version ENABLE ALWAYS TRIGGER schema_version_forgets;
COMMENT ON FUNCTION runtime_catalog.record_forgetting()
    IS 'After what changes do not tell one by one: rows deleted from change, a migration. Workers are told to drop everything';

COMMIT;
