-- 0021 swift: who asks is found with less work.
--
-- requires:    0020_refusals.sql
-- why:         a read that nobody remembers, and each write, spent most of PostgreSQL's time on finding out who asks
-- locks:       none; statements that run at that moment use the function that was there
-- takes:       milliseconds
-- afterwards:  runtime-catalogd -t

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;
SET LOCAL lock_timeout = '500ms';

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (21, 'swift', '0.1.0');

CREATE FUNCTION runtime_catalog.spend_use(token_hash bytea) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    UPDATE runtime_catalog.token AS token
       SET uses_left = token.uses_left - 1,
           used_up_at = CASE WHEN token.uses_left = 1 THEN clock_timestamp() END
     WHERE token.hash = token_hash AND token.uses_left > 0
    RETURNING token.uses_left
$$;
COMMENT ON FUNCTION runtime_catalog.spend_use(bytea) IS 'Takes one of a token''s uses; null: there was none left. For authenticate()';

-- As in 0020, but
-- - STABLE: it sees the one snapshot of the statement around it, and takes none for each of its own. What writes is a
--   function of its own for that.
-- - What few tokens need stands in statements of its own: PostgreSQL sets up all of a statement anew each time, whatever
--   it comes to. For the same reason policies are neither unnested nor joined.
-- - Settings are emptied only for who is refused.
CREATE OR REPLACE FUNCTION runtime_catalog.authenticate(
    token_hash     bytea,    -- SHA-256 of the token
    site           text,     -- path of the namespace that the site is fixed to; '': none
    named          text,     -- path, below site, of the namespace that the request names; '': site itself
    remote_address inet,     -- the client's; null: not known, which no bound token allows
    request        text,     -- the request's id, for change
    spend          boolean,  -- true: takes one of the token's uses, once a request; null: needs one and takes none
    OUT accessor           text,
    OUT token_namespace    text,    -- path of the token's namespace
    OUT namespace_id       bigint,  -- of site || named; null: there is none, or it is not below the token's
    OUT address_allowed    boolean, -- false: bound to other networks; nothing else is set then
    OUT policies           json,    -- [[name, …], {name: text, …}]; null instead of the texts where there is none
    OUT token_namespace_id bigint,
    OUT line               text[],  -- accessors of the token and those that it ends with; null: not to be remembered, because
                                    -- its uses are counted, or because a standby answers
    OUT ends_at            bigint,  -- when the first of the line expires, in microseconds since 1970; null: never
    OUT bound_cidrs        cidr[],  -- null: any network
    OUT display_name       text,
    OUT meta               jsonb,
    OUT issued_at          bigint,  -- seconds since 1970
    OUT ttl                bigint,  -- seconds that it was issued for; 0: no end
    OUT uses_left          integer  -- after this one; null: any number
) RETURNS SETOF record
LANGUAGE plpgsql STABLE ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names           text[];
    parent_accessor text;
    expiry          timestamptz;
    birth           timestamptz;
    is_live         boolean;
    _               text; -- an assignment is cheaper than PERFORM
BEGIN
    <<asking>>
    BEGIN
        SELECT token.accessor, token.parent, token.uses_left, token.expires_at, token.bound_cidrs, token.policies,
               token.display_name, token.meta, token.created_at, token.ttl, namespace.path, namespace.id
          INTO accessor, parent_accessor, uses_left, expiry, bound_cidrs, names,
               display_name, meta, birth, ttl, token_namespace, token_namespace_id
          FROM runtime_catalog.token AS token
          JOIN runtime_catalog.namespace AS namespace ON namespace.id = token.namespace_id
         WHERE token.hash = token_hash
           AND (token.expires_at IS NULL OR token.expires_at > clock_timestamp())
           AND (token.uses_left IS NULL OR token.uses_left > 0 OR spend IS FALSE) -- a request that took the last goes on
           AND (site = '' OR right(site, 1) = '/') -- team-a must not be taken for the start of team-ab/
           AND starts_with(namespace.path, site);

        -- Who is refused by now goes up a line that there is not: for the sake of a parent it must not take longer.
        line := ARRAY[accessor];
        IF accessor IS NULL OR parent_accessor IS NOT NULL THEN
            WITH RECURSIVE above (accessor, parent, expires_at) AS (
                SELECT token.accessor, token.parent, token.expires_at
                  FROM runtime_catalog.token AS token
                 WHERE token.accessor = coalesce(parent_accessor, '')
                UNION
                SELECT token.accessor, token.parent, token.expires_at
                  FROM above
                  JOIN runtime_catalog.token AS token ON token.accessor = above.parent
            )
            SELECT line || array_agg(above.accessor), least(expiry, min(above.expires_at)),
                   coalesce(bool_and(above.expires_at IS NULL OR above.expires_at > clock_timestamp()), false)
              INTO line, expiry, is_live
              FROM above;
            EXIT asking WHEN NOT is_live;
        END IF;

        address_allowed := bound_cidrs IS NULL OR coalesce(remote_address <<= ANY (bound_cidrs), false);
        EXIT asking WHEN NOT address_allowed;

        IF uses_left IS NOT NULL THEN
            IF spend THEN
                uses_left := runtime_catalog.spend_use(token_hash);
                IF uses_left IS NULL THEN
                    address_allowed := NULL;
                    EXIT asking;
                END IF;
            END IF;
            line := NULL;
        ELSIF pg_is_in_recovery() THEN
            line := NULL;
        END IF;

        IF token_namespace = site || named THEN
            namespace_id := token_namespace_id;
        ELSE
            SELECT target.id
              INTO namespace_id
              FROM runtime_catalog.namespace AS target
             WHERE target.path = site || named AND starts_with(site || named, token_namespace);
        END IF;

        SELECT json_build_array(names, json_object_agg(policy.name, policy.text)), floor(date_part('epoch', birth))
          INTO policies, issued_at
          FROM runtime_catalog.policy AS policy
         WHERE policy.namespace_id = token_namespace_id AND policy.name = ANY (names);
        IF expiry IS NOT NULL THEN
            ends_at := extract(epoch FROM expiry) * 1000000;
        END IF;

        _ := set_config('runtime_catalog.namespace_id', coalesce(namespace_id::text, ''), true);
        _ := set_config('runtime_catalog.accessor', accessor, true);
        _ := set_config('runtime_catalog.request_id', request, true);
        RETURN NEXT;
        RETURN;
    END asking;

    -- Who is refused sees and signs nothing, whatever was called before in the transaction.
    _ := set_config('runtime_catalog.namespace_id', '', true);
    _ := set_config('runtime_catalog.accessor', '', true);
    _ := set_config('runtime_catalog.request_id', '', true);
    IF NOT address_allowed THEN
        accessor := NULL;
        token_namespace := NULL;
        token_namespace_id := NULL;
        line := NULL;
        bound_cidrs := NULL;
        display_name := NULL;
        meta := NULL;
        ttl := NULL;
        uses_left := NULL;
        RETURN NEXT;
    END IF;
END
$$;

COMMIT;
