-- 0004 runtime: what the catalog is about.
--
-- requires:    0003_namespace.sql
-- why:         /sys/plugins/runtimes/catalog
-- locks:       none; everything is new
-- takes:       milliseconds
-- afterwards:  nothing to check

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (4, 'runtime', '0.1.0');

CREATE TABLE runtime_catalog.runtime (
    namespace_id  bigint                   NOT NULL,
    type          text        COLLATE "C"  NOT NULL,
    name          text        COLLATE "C"  NOT NULL,
    oci_runtime   text        COLLATE "C"  NOT NULL DEFAULT 'runsc',
    cgroup_parent text        COLLATE "C"  NOT NULL DEFAULT '',
    cpu_nanos     bigint                   NOT NULL DEFAULT 0,
    memory_bytes  bigint                   NOT NULL DEFAULT 0,
    rootless      boolean                  NOT NULL DEFAULT false,
    created_at    timestamptz              NOT NULL DEFAULT pg_catalog.now(),
    updated_at    timestamptz              NOT NULL DEFAULT pg_catalog.now(),
    CONSTRAINT runtime_pkey                PRIMARY KEY (namespace_id, type, name),
    CONSTRAINT runtime_namespace_fkey      FOREIGN KEY (namespace_id)
                                           REFERENCES runtime_catalog.namespace (id) ON DELETE RESTRICT,
    CONSTRAINT runtime_type_check          CHECK (type = 'container'),
    CONSTRAINT runtime_name_check          CHECK (name ~ '^[0-9A-Za-z_]([0-9A-Za-z_.-]*[0-9A-Za-z_])?$'
                                                  AND strpos(name, '..') = 0 AND octet_length(name) <= 255),
    CONSTRAINT runtime_oci_runtime_check   CHECK (octet_length(oci_runtime) BETWEEN 1 AND 4096),
    CONSTRAINT runtime_cgroup_parent_check CHECK (octet_length(cgroup_parent) <= 4096),
    CONSTRAINT runtime_cpu_nanos_check     CHECK (cpu_nanos >= 0),
    CONSTRAINT runtime_memory_bytes_check  CHECK (memory_bytes >= 0)
);

COMMENT ON TABLE  runtime_catalog.runtime               IS 'A plugin runtime';
COMMENT ON COLUMN runtime_catalog.runtime.namespace_id  IS 'The namespace that it belongs to';
COMMENT ON COLUMN runtime_catalog.runtime.type          IS 'Its type; the API knows container alone';
COMMENT ON COLUMN runtime_catalog.runtime.name          IS 'Its name, unique for its type and namespace';
COMMENT ON COLUMN runtime_catalog.runtime.oci_runtime   IS 'The OCI runtime that runs its containers';
COMMENT ON COLUMN runtime_catalog.runtime.cgroup_parent IS 'The parent cgroup of each container; empty: none';
COMMENT ON COLUMN runtime_catalog.runtime.cpu_nanos     IS 'CPU limit of each container, in billionths of a CPU; 0: no limit';
COMMENT ON COLUMN runtime_catalog.runtime.memory_bytes  IS 'Memory limit of each container, in bytes; 0: no limit';
COMMENT ON COLUMN runtime_catalog.runtime.rootless      IS 'Whether the container runtime runs without root';
COMMENT ON COLUMN runtime_catalog.runtime.created_at    IS 'When it was registered first';
COMMENT ON COLUMN runtime_catalog.runtime.updated_at    IS 'When it was registered last';

CREATE TRIGGER runtime_records
    AFTER INSERT OR UPDATE OR DELETE ON runtime_catalog.runtime
    FOR EACH ROW EXECUTE FUNCTION runtime_catalog.record_change('type', 'name');
CREATE TRIGGER runtime_records_truncate
    AFTER TRUNCATE ON runtime_catalog.runtime
    FOR EACH STATEMENT EXECUTE FUNCTION runtime_catalog.record_change();
ALTER TABLE runtime_catalog.runtime ENABLE ALWAYS TRIGGER runtime_records;
ALTER TABLE runtime_catalog.runtime ENABLE ALWAYS TRIGGER runtime_records_truncate;

-- The worker sees the one namespace that runtime_catalog.authenticate() found. The setting is
-- null before the first transaction that set it and '' after: neither is a namespace.
ALTER TABLE runtime_catalog.runtime ENABLE ROW LEVEL SECURITY;
CREATE POLICY runtime_worker ON runtime_catalog.runtime TO runtime_catalog_worker
    USING      (namespace_id = nullif(pg_catalog.current_setting('runtime_catalog.namespace_id', true), '')::bigint)
    WITH CHECK (namespace_id = nullif(pg_catalog.current_setting('runtime_catalog.namespace_id', true), '')::bigint);
CREATE POLICY runtime_reader ON runtime_catalog.runtime FOR SELECT
    TO runtime_catalog_reader, runtime_catalog_operator USING (true);

GRANT SELECT, INSERT, DELETE ON runtime_catalog.runtime TO runtime_catalog_worker;
GRANT UPDATE (oci_runtime, cgroup_parent, cpu_nanos, memory_bytes, rootless, updated_at)
                             ON runtime_catalog.runtime TO runtime_catalog_worker;
GRANT SELECT                 ON runtime_catalog.runtime TO runtime_catalog_operator, runtime_catalog_reader;

-- A function of its own, so that the delete runs after the statement around it has called
-- authenticate(): as a join the planner might read runtime first, when row-level security
-- still hides every row. The foreign key of plugin is what refuses it.
CREATE FUNCTION runtime_catalog.delete_runtime(namespace_id bigint, type text, name text) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM runtime_catalog.runtime AS runtime
     WHERE runtime.namespace_id = $1
       AND runtime.type = $2
       AND runtime.name = $3
    RETURNING true
$$;
COMMENT ON FUNCTION runtime_catalog.delete_runtime(bigint, text, text) IS 'Deletes one runtime; null if there is none';
GRANT EXECUTE ON FUNCTION runtime_catalog.delete_runtime(bigint, text, text) TO runtime_catalog_worker;

COMMIT;
