-- 0015 operator: no more than the tool does.
--
-- requires:    0011_namespaces.sql
-- why:         a policy that moves to another namespace, a namespace that is called something else:
--              nothing does that, so nobody may by mistake
-- locks:       none
-- takes:       milliseconds
-- afterwards:  \dp runtime_catalog.*   shows the columns

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;
SET LOCAL lock_timeout = '500ms';

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (15, 'operator', '0.1.0');

REVOKE UPDATE ON runtime_catalog.policy, runtime_catalog.namespace FROM runtime_catalog_operator;
GRANT UPDATE (text, updated_at) ON runtime_catalog.policy TO runtime_catalog_operator;
GRANT UPDATE (max_runtimes, custom_metadata, updated_at) ON runtime_catalog.namespace TO runtime_catalog_operator;

COMMIT;
