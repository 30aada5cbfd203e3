-- Drops the partitions of change that ended before an interval.
--
-- why:    change gets a row with every write, and nothing else ever deletes from it
-- who:    a member of runtime_catalog_owner
-- locks:  ACCESS EXCLUSIVE on change for a moment, which it waits for no longer than a second; if
--         it does not get it: run it again. The space is free at once
--
-- Leaves one row, operation `forget`, in place of what it dropped, and none if there was nothing to
-- drop. Change the line that ends in `-- yours`.

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;
SET LOCAL lock_timeout = '1s';

DO $$
DECLARE
    until CONSTANT timestamptz := pg_catalog.now() - interval '400 days';       -- yours
    old   regclass[];
BEGIN
    SELECT pg_catalog.array_agg(part.oid::regclass)
      INTO old
      FROM pg_catalog.pg_inherits AS inherits
      JOIN pg_catalog.pg_class    AS part ON part.oid = inherits.inhrelid
     WHERE inherits.inhparent = 'runtime_catalog.change'::regclass
       AND pg_catalog.substring(pg_catalog.pg_get_expr(part.relpartbound, part.oid), 'TO \(''([^'']+)''\)')::timestamptz <= until;
    IF old IS NOT NULL THEN
        EXECUTE pg_catalog.format('DROP TABLE %s', pg_catalog.array_to_string(old, ', '));
        PERFORM runtime_catalog.forget();
    END IF;
END
$$;

COMMIT;
