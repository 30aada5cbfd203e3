-- 0005 plugin: the registrations that hold a runtime in place.
--
-- requires:    0004_runtime.sql
-- why:         a runtime that a plugin refers to must not be deleted
-- locks:       none that waits; a SHARE ROW EXCLUSIVE lock on runtime while the foreign key
--              is made
-- takes:       milliseconds
-- afterwards:  nothing to check

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (5, 'plugin', '0.1.0');

CREATE TABLE runtime_catalog.plugin (
    namespace_id bigint                   NOT NULL,
    type         text        COLLATE "C"  NOT NULL,
    name         text        COLLATE "C"  NOT NULL,
    version      text        COLLATE "C"  NOT NULL DEFAULT '',
    command      text        COLLATE "C"  NOT NULL DEFAULT '',
    args         text[]      COLLATE "C"  NOT NULL DEFAULT '{}',
    env          text[]      COLLATE "C"  NOT NULL DEFAULT '{}',
    sha256       bytea                        NULL,
    oci_image    text        COLLATE "C"  NOT NULL DEFAULT '',
    runtime_type text        COLLATE "C"      NULL,
    runtime_name text        COLLATE "C"      NULL,
    created_at   timestamptz              NOT NULL DEFAULT pg_catalog.now(),
    updated_at   timestamptz              NOT NULL DEFAULT pg_catalog.now(),
    CONSTRAINT plugin_pkey            PRIMARY KEY (namespace_id, type, name, version),
    CONSTRAINT plugin_namespace_fkey  FOREIGN KEY (namespace_id)
                                      REFERENCES runtime_catalog.namespace (id) ON DELETE RESTRICT,
    CONSTRAINT plugin_runtime_fkey    FOREIGN KEY (namespace_id, runtime_type, runtime_name)
                                      REFERENCES runtime_catalog.runtime (namespace_id, type, name) ON DELETE RESTRICT,
    CONSTRAINT plugin_runtime_check   CHECK ((runtime_type IS NULL) = (runtime_name IS NULL)),
    CONSTRAINT plugin_type_check      CHECK (type IN ('auth', 'database', 'secret')),
    CONSTRAINT plugin_name_check      CHECK (name ~ '^[!-~]+$' AND strpos(name, '..') = 0 AND octet_length(name) <= 255),
    CONSTRAINT plugin_version_check   CHECK (version ~ '^[!-~]*$' AND octet_length(version) <= 255),
    CONSTRAINT plugin_command_check   CHECK (octet_length(command) <= 4096),
    CONSTRAINT plugin_args_check      CHECK (octet_length(array_to_string(args, ' ')) <= 4096 AND array_position(args, NULL) IS NULL),
    CONSTRAINT plugin_env_check       CHECK (octet_length(array_to_string(env, ' ')) <= 4096 AND array_position(env, NULL) IS NULL),
    CONSTRAINT plugin_sha256_check    CHECK (octet_length(sha256) = 32),
    CONSTRAINT plugin_oci_image_check CHECK (octet_length(oci_image) <= 4096)
);

COMMENT ON TABLE  runtime_catalog.plugin              IS 'A registered plugin, one row a version';
COMMENT ON COLUMN runtime_catalog.plugin.namespace_id IS 'The namespace that it belongs to';
COMMENT ON COLUMN runtime_catalog.plugin.type         IS 'auth, database or secret';
COMMENT ON COLUMN runtime_catalog.plugin.name         IS 'Its name, unique for its type, version and namespace';
COMMENT ON COLUMN runtime_catalog.plugin.version      IS 'Semantic version with a leading v; empty: none';
COMMENT ON COLUMN runtime_catalog.plugin.command      IS 'The command that starts it';
COMMENT ON COLUMN runtime_catalog.plugin.args         IS 'Arguments of the command';
COMMENT ON COLUMN runtime_catalog.plugin.env          IS 'Environment of the command, NAME=value each';
COMMENT ON COLUMN runtime_catalog.plugin.sha256       IS 'SHA-256 of the binary or image; null: not given';
COMMENT ON COLUMN runtime_catalog.plugin.oci_image    IS 'OCI image to run it from; empty: none';
COMMENT ON COLUMN runtime_catalog.plugin.runtime_type IS 'Type of the runtime that it runs in; null: none';
COMMENT ON COLUMN runtime_catalog.plugin.runtime_name IS 'Name of the runtime that it runs in; null: none';
COMMENT ON COLUMN runtime_catalog.plugin.created_at   IS 'When it was registered first';
COMMENT ON COLUMN runtime_catalog.plugin.updated_at   IS 'When it was registered last';

-- The plugins of a runtime: the foreign key's check when a runtime is deleted, and the names
-- in the refusal.
CREATE INDEX plugin_runtime_idx ON runtime_catalog.plugin (namespace_id, runtime_type, runtime_name);

CREATE TRIGGER plugin_records
    AFTER INSERT OR UPDATE OR DELETE ON runtime_catalog.plugin
    FOR EACH ROW EXECUTE FUNCTION runtime_catalog.record_change('type', 'name', 'version');
CREATE TRIGGER plugin_records_truncate
    AFTER TRUNCATE ON runtime_catalog.plugin
    FOR EACH STATEMENT EXECUTE FUNCTION runtime_catalog.record_change();
ALTER TABLE runtime_catalog.plugin ENABLE ALWAYS TRIGGER plugin_records;
ALTER TABLE runtime_catalog.plugin ENABLE ALWAYS TRIGGER plugin_records_truncate;

ALTER TABLE runtime_catalog.plugin ENABLE ROW LEVEL SECURITY;
CREATE POLICY plugin_worker ON runtime_catalog.plugin TO runtime_catalog_worker
    USING      (namespace_id = nullif(pg_catalog.current_setting('runtime_catalog.namespace_id', true), '')::bigint)
    WITH CHECK (namespace_id = nullif(pg_catalog.current_setting('runtime_catalog.namespace_id', true), '')::bigint);
CREATE POLICY plugin_reader ON runtime_catalog.plugin FOR SELECT
    TO runtime_catalog_reader, runtime_catalog_operator USING (true);

-- The worker only names the plugins of a runtime.
GRANT SELECT (namespace_id, type, name, version, runtime_type, runtime_name)
             ON runtime_catalog.plugin TO runtime_catalog_worker;
GRANT SELECT ON runtime_catalog.plugin TO runtime_catalog_operator, runtime_catalog_reader;

COMMIT;
