-- 0007 token: who may ask.
--
-- requires:    0006_policy.sql
-- why:         every request carries a token; only its SHA-256 is stored
-- locks:       none; everything is new
-- takes:       milliseconds
-- afterwards:  nothing to check

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (7, 'token', '0.1.0');

CREATE TABLE runtime_catalog.token (
    hash             bytea                    NOT NULL,
    accessor         text        COLLATE "C"  NOT NULL,
    namespace_id     bigint                   NOT NULL,
    policies         text[]      COLLATE "C"  NOT NULL,
    parent           text        COLLATE "C"      NULL,
    display_name     text        COLLATE "C"  NOT NULL DEFAULT 'token',
    meta             jsonb                        NULL,
    path             text        COLLATE "C"  NOT NULL DEFAULT 'auth/token/create',
    created_at       timestamptz              NOT NULL DEFAULT pg_catalog.now(),
    renewed_at       timestamptz                  NULL,
    expires_at       timestamptz                  NULL,
    renewable        boolean                  NOT NULL DEFAULT true,
    ttl              bigint                   NOT NULL DEFAULT 0,
    explicit_max_ttl bigint                   NOT NULL DEFAULT 0,
    period           bigint                   NOT NULL DEFAULT 0,
    uses_left        integer                      NULL,
    used_up_at       timestamptz                  NULL,
    bound_cidrs      cidr[]                       NULL,
    CONSTRAINT token_pkey                   PRIMARY KEY (hash),
    CONSTRAINT token_accessor_key           UNIQUE (accessor),
    CONSTRAINT token_namespace_fkey         FOREIGN KEY (namespace_id)
                                            REFERENCES runtime_catalog.namespace (id) ON DELETE RESTRICT,
    CONSTRAINT token_parent_fkey            FOREIGN KEY (parent)
                                            REFERENCES runtime_catalog.token (accessor) ON DELETE CASCADE,
    CONSTRAINT token_hash_check             CHECK (octet_length(hash) = 32),
    CONSTRAINT token_accessor_check         CHECK (accessor ~ '^[0-9A-Za-z]{24}$'),
    CONSTRAINT token_parent_check           CHECK (parent <> accessor),
    CONSTRAINT token_policies_check         CHECK (array_position(policies, NULL) IS NULL
                                                   AND octet_length(array_to_string(policies, ',')) <= 4096),
    CONSTRAINT token_display_name_check     CHECK (octet_length(display_name) <= 4096),
    CONSTRAINT token_meta_check             CHECK (jsonb_typeof(meta) = 'object' AND octet_length(meta::text) <= 4096),
    CONSTRAINT token_path_check             CHECK (octet_length(path) <= 4096),
    CONSTRAINT token_ttl_check              CHECK (ttl >= 0),
    CONSTRAINT token_explicit_max_ttl_check CHECK (explicit_max_ttl >= 0),
    CONSTRAINT token_period_check           CHECK (period >= 0),
    CONSTRAINT token_uses_left_check        CHECK (uses_left >= 0),
    CONSTRAINT token_bound_cidrs_check      CHECK (array_position(bound_cidrs, NULL) IS NULL AND bound_cidrs <> '{}')
);

COMMENT ON TABLE  runtime_catalog.token                  IS 'A token, known by its SHA-256';
COMMENT ON COLUMN runtime_catalog.token.hash             IS 'SHA-256 of the token''s text; the token itself is stored nowhere';
COMMENT ON COLUMN runtime_catalog.token.accessor         IS 'Name of the token that gives no access: for logs, history and revoking';
COMMENT ON COLUMN runtime_catalog.token.namespace_id     IS 'The namespace that it belongs to; it reaches those below';
COMMENT ON COLUMN runtime_catalog.token.policies         IS 'Names of policies of its namespace; root, then alone, allows everything';
COMMENT ON COLUMN runtime_catalog.token.parent           IS 'Accessor of the token that it ends with; null: none';
COMMENT ON COLUMN runtime_catalog.token.display_name     IS 'For people';
COMMENT ON COLUMN runtime_catalog.token.meta             IS 'Names and values for people and programs; null: none';
COMMENT ON COLUMN runtime_catalog.token.path             IS 'The API''s path by which it was issued';
COMMENT ON COLUMN runtime_catalog.token.created_at       IS 'When it was issued';
COMMENT ON COLUMN runtime_catalog.token.renewed_at       IS 'When it was last renewed; null: never';
COMMENT ON COLUMN runtime_catalog.token.expires_at       IS 'When it ends by itself; null: never';
COMMENT ON COLUMN runtime_catalog.token.renewable        IS 'Whether it may be renewed';
COMMENT ON COLUMN runtime_catalog.token.ttl              IS 'Seconds that it was issued for, and that a renewal gives unless it asks for others; 0: no end';
COMMENT ON COLUMN runtime_catalog.token.explicit_max_ttl IS 'Seconds after created_at beyond which no renewal reaches; 0: none set';
COMMENT ON COLUMN runtime_catalog.token.period           IS 'Seconds that each renewal gives; 0: not periodic';
COMMENT ON COLUMN runtime_catalog.token.uses_left        IS 'Requests that it is still good for; null: any number';
COMMENT ON COLUMN runtime_catalog.token.used_up_at       IS 'When the last use was taken; null: there are some left';
COMMENT ON COLUMN runtime_catalog.token.bound_cidrs      IS 'Networks that it may be used from; null: any';

-- The children of a token: what the foreign key deletes along with it.
CREATE INDEX token_parent_idx ON runtime_catalog.token (parent) WHERE parent IS NOT NULL;
-- The tokens of a namespace, and the foreign key's check when one is deleted.
CREATE INDEX token_namespace_idx ON runtime_catalog.token (namespace_id);

CREATE TRIGGER token_records
    AFTER INSERT OR DELETE ON runtime_catalog.token
    FOR EACH ROW EXECUTE FUNCTION runtime_catalog.record_change('accessor');
-- uses_left changes with every request, used_up_at with it, and is no history.
CREATE TRIGGER token_records_update
    AFTER UPDATE ON runtime_catalog.token
    FOR EACH ROW
    WHEN ((OLD.hash, OLD.accessor, OLD.namespace_id, OLD.policies, OLD.parent, OLD.display_name, OLD.meta, OLD.path,
           OLD.created_at, OLD.renewed_at, OLD.expires_at, OLD.renewable, OLD.ttl, OLD.explicit_max_ttl, OLD.period,
           OLD.bound_cidrs)
          IS DISTINCT FROM
          (NEW.hash, NEW.accessor, NEW.namespace_id, NEW.policies, NEW.parent, NEW.display_name, NEW.meta, NEW.path,
           NEW.created_at, NEW.renewed_at, NEW.expires_at, NEW.renewable, NEW.ttl, NEW.explicit_max_ttl, NEW.period,
           NEW.bound_cidrs))
    EXECUTE FUNCTION runtime_catalog.record_change('accessor');
CREATE TRIGGER token_records_truncate
    AFTER TRUNCATE ON runtime_catalog.token
    FOR EACH STATEMENT EXECUTE FUNCTION runtime_catalog.record_change();
ALTER TABLE runtime_catalog.token ENABLE ALWAYS TRIGGER token_records;
ALTER TABLE runtime_catalog.token ENABLE ALWAYS TRIGGER token_records_update;
ALTER TABLE runtime_catalog.token ENABLE ALWAYS TRIGGER token_records_truncate;

-- The worker has no right here: authenticate() is its only way in. The operator writes a hash
-- and never reads one: find_token() tells the accessor to whoever has the token. parent is
-- what revoking a token without its children sets to null.
ALTER TABLE runtime_catalog.token ENABLE ROW LEVEL SECURITY;
CREATE POLICY token_operator ON runtime_catalog.token TO runtime_catalog_operator USING (true) WITH CHECK (true);
CREATE POLICY token_reader   ON runtime_catalog.token FOR SELECT TO runtime_catalog_reader USING (true);

GRANT SELECT (accessor, namespace_id, policies, parent, display_name, meta, path, created_at, renewed_at,
              expires_at, renewable, ttl, explicit_max_ttl, period, uses_left, used_up_at,
              bound_cidrs)
                     ON runtime_catalog.token TO runtime_catalog_operator, runtime_catalog_reader;
GRANT INSERT, UPDATE (parent), DELETE ON runtime_catalog.token TO runtime_catalog_operator;

CREATE FUNCTION runtime_catalog.find_token(token_hash bytea) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT token.accessor FROM runtime_catalog.token AS token WHERE token.hash = token_hash
$$;
COMMENT ON FUNCTION runtime_catalog.find_token(bytea) IS 'The accessor of the token with this hash; null: there is none';
GRANT EXECUTE ON FUNCTION runtime_catalog.find_token(bytea) TO runtime_catalog_operator;

COMMIT;
