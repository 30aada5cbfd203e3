-- 0009 endpoints: tokens and policies over the API.
--
-- requires:    0008_authenticate.sql
-- why:         a token issues, reads, renews and revokes others; a policy is written by who may
-- locks:       policy, for the moment of a GRANT
-- takes:       milliseconds
-- afterwards:  runtime-catalogd -t
--
-- The functions of tokens run inside a statement that has called authenticate(): namespace_id is
-- what that returned, so nobody reaches a token of another namespace, whatever they know of it.
-- A token reaches itself wherever it is used. All times are the database's.

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (9, 'endpoints', '0.1.0');

-- The token that a request is about, by its hash or its accessor, if it is live.
CREATE FUNCTION runtime_catalog.reach_token(
    namespace_id    bigint, -- the caller's
    caller_hash     bytea,
    target_hash     bytea,  -- null: by accessor
    target_accessor text    -- null: by hash
) RETURNS bytea
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT token.hash
      FROM runtime_catalog.token AS token
     WHERE token.hash = coalesce($3, (SELECT named.hash FROM runtime_catalog.token AS named WHERE named.accessor = $4))
       AND (token.namespace_id = $1 OR token.hash = $2)
       AND (token.uses_left IS NULL OR token.uses_left > 0 OR token.hash = $2)
       AND runtime_catalog.token_is_live(token.accessor)
$$;
COMMENT ON FUNCTION runtime_catalog.reach_token(bigint, bytea, bytea, text)
    IS 'The hash of a live token of the caller''s namespace, or of the caller''s own; for the functions below alone';

CREATE FUNCTION runtime_catalog.rfc3339(moment timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT to_char($1 AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS')
        || coalesce('.' || nullif(rtrim(to_char($1 AT TIME ZONE 'UTC', 'US'), '0'), ''), '') || 'Z'
$$;
COMMENT ON FUNCTION runtime_catalog.rfc3339(timestamptz) IS 'A moment as the API writes it: in UTC, without zeros at the end of its fraction';

-- What lookup answers, with null where Vault has no key. A token that never ends has no lease.
-- Volatile, to see the use that authenticate() took in the same statement.
CREATE FUNCTION runtime_catalog.describe_token(namespace_id bigint, caller_hash bytea, target_hash bytea, target_accessor text)
RETURNS json
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT json_build_object(
               'accessor',          token.accessor,
               'bound_cidrs',       (SELECT json_agg(CASE WHEN masklen(cidr) = CASE family(cidr) WHEN 4 THEN 32 ELSE 128 END
                                                          THEN host(cidr) ELSE cidr::text END)
                                       FROM unnest(token.bound_cidrs) AS cidr),
               'creation_time',     floor(extract(epoch FROM token.created_at))::bigint,
               'creation_ttl',      token.ttl,
               'display_name',      token.display_name,
               'entity_id',         '',
               'expire_time',       runtime_catalog.rfc3339(token.expires_at),
               'explicit_max_ttl',  token.explicit_max_ttl,
               'id',                '',
               'issue_time',        CASE WHEN token.expires_at IS NOT NULL THEN runtime_catalog.rfc3339(token.created_at) END,
               'last_renewal',      runtime_catalog.rfc3339(token.renewed_at),
               'last_renewal_time', floor(extract(epoch FROM token.renewed_at))::bigint,
               'meta',              token.meta,
               'namespace_path',    nullif(namespace.path, ''),
               'num_uses',          CASE token.uses_left WHEN 0 THEN -1 ELSE coalesce(token.uses_left, 0) END,
               'orphan',            token.parent IS NULL,
               'path',              token.path,
               'period',            nullif(token.period, 0),
               'policies',          token.policies,
               'renewable',         CASE WHEN token.expires_at IS NOT NULL THEN token.renewable END,
               'ttl',               coalesce(greatest(round(extract(epoch FROM token.expires_at - clock_timestamp())), 0), 0)::bigint,
               'type',              'service')
      FROM runtime_catalog.token AS token
      JOIN runtime_catalog.namespace AS namespace ON namespace.id = token.namespace_id
     WHERE token.hash = runtime_catalog.reach_token($1, $2, $3, $4)
$$;
COMMENT ON FUNCTION runtime_catalog.describe_token(bigint, bytea, bytea, text) IS 'A token without its hash; null: none that the caller reaches';

CREATE FUNCTION runtime_catalog.policies_of_token(namespace_id bigint, caller_hash bytea, target_hash bytea, target_accessor text)
RETURNS json
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT (SELECT coalesce(json_agg(json_build_array(name.name, policy.text)), '[]')
              FROM unnest(token.policies) AS name (name)
              LEFT JOIN runtime_catalog.policy AS policy
                     ON policy.namespace_id = token.namespace_id AND policy.name = name.name)
      FROM runtime_catalog.token AS token
     WHERE token.hash = runtime_catalog.reach_token($1, $2, $3, $4)
$$;
COMMENT ON FUNCTION runtime_catalog.policies_of_token(bigint, bytea, bytea, text)
    IS 'The policies of a token as authenticate() has them; null: none that the caller reaches';

CREATE FUNCTION runtime_catalog.list_accessors(namespace_id bigint) RETURNS json
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    -- From the expired ones down, once: to ask token_is_live() of each walks a long line again and again.
    WITH RECURSIVE ended (accessor) AS (
        SELECT token.accessor
          FROM runtime_catalog.token AS token
         WHERE token.expires_at <= clock_timestamp()
        UNION
        SELECT token.accessor
          FROM ended
          JOIN runtime_catalog.token AS token ON token.parent = ended.accessor
    )
    SELECT coalesce(json_agg(token.accessor ORDER BY token.accessor), '[]')
      FROM runtime_catalog.token AS token
     WHERE token.namespace_id = $1
       AND (token.uses_left IS NULL OR token.uses_left > 0)
       AND NOT EXISTS (SELECT FROM ended WHERE ended.accessor = token.accessor)
$$;
COMMENT ON FUNCTION runtime_catalog.list_accessors(bigint) IS 'Accessors of the live tokens of a namespace';

-- A child has its parent's networks; an orphan has none.
CREATE FUNCTION runtime_catalog.create_token(
    namespace_id bigint, caller text, hash bytea, accessor text, policies json, orphan boolean, path text,
    display_name text, meta jsonb, renewable boolean, ttl bigint, explicit_max_ttl bigint, period bigint, uses integer
) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO runtime_catalog.token
           (hash, accessor, namespace_id, policies, parent, display_name, meta, path,
            expires_at, renewable, ttl, explicit_max_ttl, period, uses_left, bound_cidrs)
    SELECT $3, $4, $1, array(SELECT json_array_elements_text($5)),
           CASE WHEN NOT $6 THEN parent.accessor END, $8, $9, $7,
           CASE WHEN $11 > 0 THEN now() + make_interval(secs => $11) END, $10, $11, $12, $13, nullif($14, 0),
           CASE WHEN NOT $6 THEN parent.bound_cidrs END
      FROM runtime_catalog.token AS parent
     WHERE parent.accessor = $2
       FOR KEY SHARE -- an orphan has no foreign key that would wait for a revocation
    RETURNING true
$$;
COMMENT ON FUNCTION runtime_catalog.create_token(bigint, text, bytea, text, json, boolean, text, text, jsonb, boolean, bigint, bigint, bigint, integer)
    IS 'Stores a token that the caller issues; null if the caller''s own is gone';

-- refusal is a word, or null and the token is renewed. As Vault: for increment seconds, else for
-- the token's own ttl, for the period if it has one; never beyond created_at + max_ttl or its
-- explicit_max_ttl, whichever is less. A period is cut to that length, but may be given again and
-- again until created_at + explicit_max_ttl.
CREATE FUNCTION runtime_catalog.renew_token(
    namespace_id bigint, caller_hash bytea, target_hash bytea, target_accessor text, increment bigint, max_ttl bigint,
    OUT refusal text, OUT ttl bigint, OUT wanted bigint, OUT bound bigint
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target record;
    left_to_max numeric;
BEGIN
    SELECT token.hash, token.created_at, token.expires_at, token.renewable, token.ttl, token.explicit_max_ttl, token.period
      INTO target
      FROM runtime_catalog.token AS token
     WHERE token.hash = runtime_catalog.reach_token(renew_token.namespace_id, caller_hash, renew_token.target_hash, target_accessor)
       FOR UPDATE;
    refusal := CASE
        WHEN NOT FOUND                                  THEN 'unknown'
        WHEN target.expires_at IS NULL                  THEN 'no lease'
        WHEN target.expires_at <= clock_timestamp()     THEN 'expired'
        WHEN NOT target.renewable                       THEN 'not renewable'
    END;
    IF refusal IS NOT NULL THEN
        RETURN;
    END IF;

    bound := CASE
        WHEN target.period > 0 AND target.explicit_max_ttl = 0 THEN NULL
        WHEN target.period > 0                                 THEN target.explicit_max_ttl
        ELSE least(max_ttl, nullif(target.explicit_max_ttl, 0))
    END;
    wanted := CASE
        WHEN target.period > 0 THEN least(target.period, max_ttl)
        WHEN increment > 0     THEN increment
        ELSE target.ttl
    END;
    left_to_max := bound - extract(epoch FROM clock_timestamp() - target.created_at);
    IF left_to_max <= 0 THEN
        refusal := 'past max';
        RETURN;
    END IF;
    UPDATE runtime_catalog.token AS token
       SET renewed_at = clock_timestamp(),
           expires_at = clock_timestamp() + make_interval(secs => least(wanted, left_to_max)::double precision)
     WHERE token.hash = target.hash
    RETURNING round(extract(epoch FROM token.expires_at - clock_timestamp()))::bigint INTO renew_token.ttl;
END
$$;
COMMENT ON FUNCTION runtime_catalog.renew_token(bigint, bytea, bytea, text, bigint, bigint)
    IS 'Renews a token; ttl: the seconds that it has now; bound: its longest life, null: none; wanted: what was asked for';

-- Children go with it by the foreign key, or become orphans.
CREATE FUNCTION runtime_catalog.revoke_token(
    namespace_id bigint, caller_hash bytea, target_hash bytea, target_accessor text, keep_children boolean
) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    target record;
BEGIN
    SELECT token.hash, token.accessor
      INTO target
      FROM runtime_catalog.token AS token
     WHERE token.hash = runtime_catalog.reach_token(revoke_token.namespace_id, caller_hash, revoke_token.target_hash, target_accessor)
       FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF keep_children THEN
        UPDATE runtime_catalog.token SET parent = NULL WHERE token.parent = target.accessor;
    END IF;
    DELETE FROM runtime_catalog.token WHERE token.hash = target.hash;
    RETURN true;
END
$$;
COMMENT ON FUNCTION runtime_catalog.revoke_token(bigint, bytea, bytea, text, boolean) IS 'Ends a token; whether there was one that the caller reaches';

-- What is locked by somebody else is left for the next time. The request that took the last use
-- may still be about to write, which needs the row.
CREATE FUNCTION runtime_catalog.tidy_tokens(batch integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH ended AS MATERIALIZED (
        SELECT token.hash
          FROM runtime_catalog.token AS token
         WHERE token.expires_at <= clock_timestamp() OR token.used_up_at <= clock_timestamp() - interval '5 minutes'
         ORDER BY token.expires_at
         LIMIT $1
           FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM runtime_catalog.token AS token USING ended WHERE token.hash = ended.hash RETURNING 1
    )
    SELECT count(*) FROM gone
$$;
COMMENT ON FUNCTION runtime_catalog.tidy_tokens(integer)
    IS 'Deletes tokens that have expired or were used up minutes ago, at most so many, and those that end with them; how many';

-- What tidy_tokens looks for.
CREATE INDEX token_expires_at_idx ON runtime_catalog.token (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX token_used_up_at_idx ON runtime_catalog.token (used_up_at) WHERE used_up_at IS NOT NULL;

GRANT EXECUTE ON FUNCTION runtime_catalog.describe_token(bigint, bytea, bytea, text),
                          runtime_catalog.policies_of_token(bigint, bytea, bytea, text),
                          runtime_catalog.list_accessors(bigint),
                          runtime_catalog.create_token(bigint, text, bytea, text, json, boolean, text, text, jsonb, boolean, bigint, bigint, bigint, integer),
                          runtime_catalog.renew_token(bigint, bytea, bytea, text, bigint, bigint),
                          runtime_catalog.revoke_token(bigint, bytea, bytea, text, boolean),
                          runtime_catalog.tidy_tokens(integer)
   TO runtime_catalog_worker;
GRANT EXECUTE ON FUNCTION runtime_catalog.tidy_tokens(integer) TO runtime_catalog_operator;

-- Policies are rows like runtimes: the worker sees those of the namespace that a token led to.
CREATE POLICY policy_worker ON runtime_catalog.policy TO runtime_catalog_worker
    USING      (namespace_id = nullif(pg_catalog.current_setting('runtime_catalog.namespace_id', true), '')::bigint)
    WITH CHECK (namespace_id = nullif(pg_catalog.current_setting('runtime_catalog.namespace_id', true), '')::bigint);
GRANT SELECT, INSERT, DELETE    ON runtime_catalog.policy TO runtime_catalog_worker;
GRANT UPDATE (text, updated_at) ON runtime_catalog.policy TO runtime_catalog_worker;

CREATE FUNCTION runtime_catalog.delete_policy(namespace_id bigint, name text) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, pg_temp
AS $$
    DELETE FROM runtime_catalog.policy AS policy WHERE policy.namespace_id = $1 AND policy.name = $2 RETURNING true
$$;
COMMENT ON FUNCTION runtime_catalog.delete_policy(bigint, text) IS 'Deletes one policy; null if there is none. A function for the reason that delete_runtime() is one';
GRANT EXECUTE ON FUNCTION runtime_catalog.delete_policy(bigint, text) TO runtime_catalog_worker;

COMMIT;
