-- 0010 plugin endpoints: plugins over the API.
--
-- requires:    0009_endpoints.sql
-- why:         who may registers plugins, reads them and takes them away; no plugin is run, so
--              one that is registered without a type stays without
-- locks:       plugin, against everybody, while its rows are read once
-- takes:       milliseconds
-- afterwards:  runtime-catalogd -t

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (10, 'plugin_endpoints', '0.1.0');

ALTER TABLE runtime_catalog.plugin
    DROP CONSTRAINT plugin_type_check,
    ADD  CONSTRAINT plugin_type_check CHECK (type IN ('auth', 'database', 'secret', 'unknown'));
COMMENT ON COLUMN runtime_catalog.plugin.type IS 'auth, database or secret; unknown: registered without one';

-- All but env, which may hold secrets: the worker writes it and cannot read it.
GRANT SELECT (command, args, sha256, oci_image) ON runtime_catalog.plugin TO runtime_catalog_worker;
GRANT INSERT, DELETE                            ON runtime_catalog.plugin TO runtime_catalog_worker;
GRANT UPDATE (command, args, env, sha256, oci_image, runtime_type, runtime_name, updated_at)
                                                ON runtime_catalog.plugin TO runtime_catalog_worker;

CREATE FUNCTION runtime_catalog.delete_plugin(namespace_id bigint, type text, name text, version text) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM runtime_catalog.plugin AS plugin
     WHERE plugin.namespace_id = $1
       AND plugin.type = $2
       AND plugin.name = $3
       AND plugin.version = $4
    RETURNING true
$$;
COMMENT ON FUNCTION runtime_catalog.delete_plugin(bigint, text, text, text)
    IS 'Deletes one version of a plugin; null if there is none. A function for the reason that delete_runtime() is one';
GRANT EXECUTE ON FUNCTION runtime_catalog.delete_plugin(bigint, text, text, text) TO runtime_catalog_worker;

COMMIT;
