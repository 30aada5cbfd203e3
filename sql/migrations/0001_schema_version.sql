-- 0001 schema_version: the schema itself, and the record of what has been done to it.
--
-- requires:    roles.sql
-- why:         a worker must know whether it fits the schema, a DBA what has run and when
-- locks:       none; everything is new
-- takes:       milliseconds
-- afterwards:  runtime-catalog status
--
-- Every migration is one transaction, takes the lock on schema_version before it does
-- anything, so that two at once run one after the other, and then inserts its own row: the
-- second of two stops there with schema_version_pkey and changes nothing.

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;

CREATE SCHEMA runtime_catalog;
COMMENT ON SCHEMA runtime_catalog IS 'The plugin-runtime catalog of Vault''s API';

-- A function is executable by PUBLIC unless somebody says otherwise. Schema by schema this
-- default cannot be taken away, hence for the owner's functions altogether.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

GRANT USAGE ON SCHEMA runtime_catalog
   TO runtime_catalog_worker, runtime_catalog_operator, runtime_catalog_reader;

CREATE TABLE runtime_catalog.schema_version (
    version       integer                  NOT NULL,
    name          text        COLLATE "C"  NOT NULL,
    oldest_worker text        COLLATE "C"  NOT NULL,
    checksum      text        COLLATE "C"      NULL,
    applied_at    timestamptz              NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    applied_by    text        COLLATE "C"  NOT NULL DEFAULT SESSION_USER,
    CONSTRAINT schema_version_pkey                PRIMARY KEY (version),
    CONSTRAINT schema_version_version_check       CHECK (version > 0),
    CONSTRAINT schema_version_name_check          CHECK (name ~ '^[a-z0-9_]{1,255}$'),
    CONSTRAINT schema_version_oldest_worker_check CHECK (oldest_worker ~ '^[0-9]+\.[0-9]+\.[0-9]+$'),
    CONSTRAINT schema_version_checksum_check      CHECK (checksum ~ '^[0-9a-f]{64}$')
);

COMMENT ON TABLE  runtime_catalog.schema_version               IS 'The migrations that have run';
COMMENT ON COLUMN runtime_catalog.schema_version.version       IS 'The number that the file''s name begins with';
COMMENT ON COLUMN runtime_catalog.schema_version.name          IS 'The rest of the file''s name';
COMMENT ON COLUMN runtime_catalog.schema_version.oldest_worker IS 'The oldest runtime-catalogd that works on the schema from here on';
COMMENT ON COLUMN runtime_catalog.schema_version.checksum      IS 'SHA-256 of the file, in hexadecimal; null after a plain psql run until runtime-catalog migrate sees the file';
COMMENT ON COLUMN runtime_catalog.schema_version.applied_at    IS 'When it ran';
COMMENT ON COLUMN runtime_catalog.schema_version.applied_by    IS 'The role that ran it';

GRANT SELECT ON runtime_catalog.schema_version
   TO runtime_catalog_worker, runtime_catalog_operator, runtime_catalog_reader;

INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (1, 'schema_version', '0.1.0');

COMMIT;
