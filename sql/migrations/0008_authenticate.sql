-- 0008 authenticate: from a token's hash to what its holder is, in one call.
--
-- requires:    0007_token.sql
-- why:         every statement of the worker begins here, so that row-level security rests on
--              what SQL itself found and a write never on an earlier check
-- locks:       none; everything is new
-- takes:       milliseconds
-- afterwards:  runtime-catalogd -t

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;

LOCK TABLE runtime_catalog.schema_version IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO runtime_catalog.schema_version (version, name, oldest_worker)
VALUES (8, 'authenticate', '0.1.0');

-- No row: there is no such token, or it or one that it ends with has expired, or it has no use
-- left, or it belongs to a namespace above the site's. One row otherwise, and unless
-- namespace_id is null the transaction now sees that namespace's rows.
CREATE FUNCTION runtime_catalog.authenticate(
    token_hash     bytea,    -- SHA-256 of the token
    site           text,     -- path of the namespace that the site is fixed to; '': none
    named          text,     -- path, below site, of the namespace that the request names; '': site itself
    remote_address inet,     -- the client's; null: not known, which no bound token allows
    request        text,     -- the request's id, for change
    spend          boolean,  -- true: takes one of the token's uses, once a request; null: needs one and takes none
    OUT accessor        text,
    OUT token_namespace text,    -- path of the token's namespace
    OUT namespace_id    bigint,  -- of site || named; null: there is none, or it is not below the token's
    OUT address_allowed boolean, -- false: bound to other networks; nothing else is set then
    OUT policies        json     -- [[name, text], …]; text is null where there is no such policy
) RETURNS SETOF record
LANGUAGE plpgsql ROWS 1 SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    holder record;
BEGIN
    -- Who is refused sees and signs nothing, whatever was called before in the transaction.
    PERFORM set_config('runtime_catalog.namespace_id', '', true),
            set_config('runtime_catalog.accessor', '', true),
            set_config('runtime_catalog.request_id', '', true);

    SELECT token.accessor, token.parent, token.uses_left, token.policies, token.namespace_id, namespace.path,
           (token.bound_cidrs IS NULL OR coalesce(remote_address <<= ANY (token.bound_cidrs), false)) AS address_allowed,
           (SELECT target.id
              FROM runtime_catalog.namespace AS target
             WHERE target.path = site || named AND starts_with(site || named, namespace.path)) AS target_id
      INTO holder
      FROM runtime_catalog.token AS token
      JOIN runtime_catalog.namespace AS namespace ON namespace.id = token.namespace_id
     WHERE token.hash = token_hash
       AND (token.expires_at IS NULL OR token.expires_at > clock_timestamp())
       AND (site = '' OR right(site, 1) = '/') -- team-a must not be taken for the start of team-ab/
       AND starts_with(namespace.path, site);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF holder.parent IS NOT NULL AND NOT runtime_catalog.token_is_live(holder.parent) THEN
        RETURN;
    END IF;

    address_allowed := holder.address_allowed;
    IF NOT address_allowed THEN
        RETURN NEXT;
        RETURN;
    END IF;

    IF spend IS NULL AND holder.uses_left = 0 THEN
        RETURN;
    END IF;
    IF spend AND holder.uses_left IS NOT NULL THEN
        UPDATE runtime_catalog.token
           SET uses_left = token.uses_left - 1,
               used_up_at = CASE WHEN token.uses_left = 1 THEN clock_timestamp() END
         WHERE token.hash = token_hash AND token.uses_left > 0;
        IF NOT FOUND THEN
            RETURN;
        END IF;
    END IF;

    accessor := holder.accessor;
    token_namespace := holder.path;
    namespace_id := holder.target_id;
    SELECT json_agg(json_build_array(name.name, policy.text))
      INTO policies
      FROM unnest(holder.policies) AS name (name)
      LEFT JOIN runtime_catalog.policy AS policy
             ON policy.namespace_id = holder.namespace_id AND policy.name = name.name;

    PERFORM set_config('runtime_catalog.namespace_id', coalesce(holder.target_id::text, ''), true),
            set_config('runtime_catalog.accessor', holder.accessor, true),
            set_config('runtime_catalog.request_id', request, true);
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION runtime_catalog.authenticate(bytea, text, text, inet, text, boolean)
    IS 'Who holds a token; sets the namespace that row-level security lets the transaction see';

CREATE FUNCTION runtime_catalog.token_is_live(accessor text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE line (parent, expires_at) AS (
        SELECT token.parent, token.expires_at
          FROM runtime_catalog.token AS token
         WHERE token.accessor = $1
        UNION
        SELECT above.parent, above.expires_at
          FROM line
          JOIN runtime_catalog.token AS above ON above.accessor = line.parent
    )
    SELECT coalesce(bool_and(line.expires_at IS NULL OR line.expires_at > clock_timestamp()), false)
      FROM line
$$;
COMMENT ON FUNCTION runtime_catalog.token_is_live(text) IS 'Whether neither the token nor any that it ends with has expired';

GRANT EXECUTE ON FUNCTION runtime_catalog.authenticate(bytea, text, text, inet, text, boolean)
   TO runtime_catalog_worker;

COMMIT;
