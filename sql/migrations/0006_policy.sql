-- 0006 policy: what tokens may do.
--
-- requires:    0003_namespace.sql
-- why:         every request is checked against the policies that its token names
-- locks:       none; everything is new
-- takes:       milliseconds
-- afterwards:  nothing to check

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (6, 'policy', '0.1.0');

CREATE TABLE runtime_catalog.policy (
    namespace_id bigint                   NOT NULL,
    name         text        COLLATE "C"  NOT NULL,
    text         text        COLLATE "C"  NOT NULL,
    created_at   timestamptz              NOT NULL DEFAULT pg_catalog.now(),
    updated_at   timestamptz              NOT NULL DEFAULT pg_catalog.now(),
    CONSTRAINT policy_pkey           PRIMARY KEY (namespace_id, name),
    CONSTRAINT policy_namespace_fkey FOREIGN KEY (namespace_id)
                                     REFERENCES runtime_catalog.namespace (id) ON DELETE RESTRICT,
    CONSTRAINT policy_name_check     CHECK (name ~ '^[!-~]+$' AND name !~ '[A-Z]' AND name <> 'root' AND octet_length(name) <= 255),
    CONSTRAINT policy_text_check     CHECK (octet_length(text) <= 524288)
);

COMMENT ON TABLE  runtime_catalog.policy              IS 'A policy: rules for paths';
COMMENT ON COLUMN runtime_catalog.policy.namespace_id IS 'The namespace whose tokens may name it';
COMMENT ON COLUMN runtime_catalog.policy.name         IS 'Its name, in lower case; root is built in and not stored';
COMMENT ON COLUMN runtime_catalog.policy.text         IS 'HCL or JSON, as it was written';
COMMENT ON COLUMN runtime_catalog.policy.created_at   IS 'When it was written first';
COMMENT ON COLUMN runtime_catalog.policy.updated_at   IS 'When it was written last';

CREATE TRIGGER policy_records
    AFTER INSERT OR UPDATE OR DELETE ON runtime_catalog.policy
    FOR EACH ROW EXECUTE FUNCTION runtime_catalog.record_change('name');
CREATE TRIGGER policy_records_truncate
    AFTER TRUNCATE ON runtime_catalog.policy
    FOR EACH STATEMENT EXECUTE FUNCTION runtime_catalog.record_change();
ALTER TABLE runtime_catalog.policy ENABLE ALWAYS TRIGGER policy_records;
ALTER TABLE runtime_catalog.policy ENABLE ALWAYS TRIGGER policy_records_truncate;

-- The worker has no right here: authenticate() hands it the text of a token's policies.
ALTER TABLE runtime_catalog.policy ENABLE ROW LEVEL SECURITY;
CREATE POLICY policy_operator ON runtime_catalog.policy TO runtime_catalog_operator USING (true) WITH CHECK (true);
CREATE POLICY policy_reader   ON runtime_catalog.policy FOR SELECT TO runtime_catalog_reader USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE ON runtime_catalog.policy TO runtime_catalog_operator;
GRANT SELECT                         ON runtime_catalog.policy TO runtime_catalog_reader;

CREATE FUNCTION runtime_catalog.list_policies(OUT namespace_path text, OUT name text, OUT text text) RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT namespace.path, policy.name, policy.text
      FROM runtime_catalog.policy AS policy
      JOIN runtime_catalog.namespace AS namespace ON namespace.id = policy.namespace_id
     ORDER BY namespace.path, policy.name
$$;
COMMENT ON FUNCTION runtime_catalog.list_policies() IS 'Every policy of every namespace: what runtime-catalogd -t compiles to see whether it can';
GRANT EXECUTE ON FUNCTION runtime_catalog.list_policies() TO runtime_catalog_worker, runtime_catalog_operator;

COMMIT;
