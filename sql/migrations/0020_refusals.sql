-- 0020 refusals: a token that is refused costs the same, whatever is wrong with it.
--
-- requires:    0018_audit.sql
-- why:         a token that was used up, or had expired with its parent, took longer to refuse than one that
--              there never was: who has many tokens to try could tell
-- locks:       none; statements that run at that moment use the function that was there
-- takes:       milliseconds
-- afterwards:  runtime-catalogd -t

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;
SET LOCAL lock_timeout = '500ms';

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (20, 'refusals', '0.1.0');

-- As in 0018, but that no use is left is seen at once, and all go up a line.
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
    OUT policies           json,    -- [[name, text], …]; text is null where there is no such policy
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
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    parent_accessor text;
    expiry          timestamptz;
    birth           timestamptz;
    is_refused      boolean;
    is_live         boolean;
    _               text; -- an assignment is cheaper than PERFORM
BEGIN
    -- Who is refused sees and signs nothing, whatever was called before in the transaction.
    _ := set_config('runtime_catalog.namespace_id', '', true);
    _ := set_config('runtime_catalog.accessor', '', true);
    _ := set_config('runtime_catalog.request_id', '', true);

    SELECT token.accessor, token.parent, token.uses_left, token.expires_at, token.bound_cidrs,
           token.display_name, token.meta, token.created_at, token.ttl, namespace.path, namespace.id,
           CASE WHEN namespace.path = site || named THEN namespace.id
                ELSE (SELECT target.id
                        FROM runtime_catalog.namespace AS target
                       WHERE target.path = site || named AND starts_with(site || named, namespace.path))
           END,
           (SELECT json_agg(json_build_array(name.name, policy.text))
              FROM unnest(token.policies) AS name (name)
              LEFT JOIN runtime_catalog.policy AS policy
                     ON policy.namespace_id = token.namespace_id AND policy.name = name.name)
      INTO accessor, parent_accessor, uses_left, expiry, bound_cidrs, display_name, meta, birth, ttl,
           token_namespace, token_namespace_id, namespace_id, policies
      FROM runtime_catalog.token AS token
      JOIN runtime_catalog.namespace AS namespace ON namespace.id = token.namespace_id
     WHERE token.hash = token_hash
       AND (token.expires_at IS NULL OR token.expires_at > clock_timestamp())
       AND (token.uses_left IS NULL OR token.uses_left > 0 OR spend IS FALSE) -- a request that took the last goes on
       AND (site = '' OR right(site, 1) = '/') -- team-a must not be taken for the start of team-ab/
       AND starts_with(namespace.path, site);
    is_refused := NOT FOUND;

    -- Who is refused by now goes up a line that there is not: for the sake of a parent it must not take longer.
    line := ARRAY[accessor];
    IF is_refused OR parent_accessor IS NOT NULL THEN
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
        IF NOT is_live THEN
            RETURN;
        END IF;
    END IF;

    address_allowed := bound_cidrs IS NULL OR coalesce(remote_address <<= ANY (bound_cidrs), false);
    IF NOT address_allowed THEN
        accessor := NULL;
        token_namespace := NULL;
        token_namespace_id := NULL;
        namespace_id := NULL;
        policies := NULL;
        line := NULL;
        bound_cidrs := NULL;
        display_name := NULL;
        meta := NULL;
        ttl := NULL;
        uses_left := NULL;
        RETURN NEXT;
        RETURN;
    END IF;

    IF spend AND uses_left IS NOT NULL THEN
        UPDATE runtime_catalog.token
           SET uses_left = token.uses_left - 1,
               used_up_at = CASE WHEN token.uses_left = 1 THEN clock_timestamp() END
         WHERE token.hash = token_hash AND token.uses_left > 0
        RETURNING token.uses_left INTO uses_left;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;

    issued_at := floor(extract(epoch FROM birth));
    IF expiry IS NOT NULL THEN
        ends_at := extract(epoch FROM expiry) * 1000000;
    END IF;
    IF uses_left IS NOT NULL OR pg_is_in_recovery() THEN
        line := NULL;
    END IF;
    _ := set_config('runtime_catalog.namespace_id', coalesce(namespace_id::text, ''), true);
    _ := set_config('runtime_catalog.accessor', accessor, true);
    _ := set_config('runtime_catalog.request_id', request, true);
    RETURN NEXT;
END
$$;

COMMIT;
