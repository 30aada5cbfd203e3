-- Adds the partitions of change for the months to come that are not there yet.
--
-- why:    a partition for each month; what none is there for goes to change_other
-- who:    a member of runtime_catalog_owner, every month or so; nothing fails if it comes late
-- locks:  for a moment, for each month that is added: ACCESS EXCLUSIVE on change_other, which has
--         no rows, and SHARE UPDATE EXCLUSIVE on change, so that reads and writes of the catalog go
--         on. If change_other has rows of the month, those are moved first, and writes wait for
--         that. It waits for a lock no longer than a second; if it does not get it: run it again
--
-- Change the line that ends in `-- yours`.

SET ROLE runtime_catalog_owner;
SET timezone = 'UTC';

DO $$
DECLARE
    months CONSTANT integer := 3;                                               -- yours
    month  timestamptz;
    name   text;
    begins timestamptz;
BEGIN
    SELECT coalesce(max(pg_catalog.substring(pg_catalog.pg_get_expr(part.relpartbound, part.oid), 'TO \(''([^'']+)''\)')::timestamptz),
                    pg_catalog.date_trunc('month', pg_catalog.now()))
      INTO begins
      FROM pg_catalog.pg_inherits AS inherits
      JOIN pg_catalog.pg_class    AS part ON part.oid = inherits.inhrelid
     WHERE inherits.inhparent = 'runtime_catalog.change'::regclass;

    FOR month IN
        SELECT pg_catalog.generate_series(begins, pg_catalog.now() + months * interval '1 month', '1 month')
    LOOP
        SET LOCAL lock_timeout = '1s';
        name := 'change_' || pg_catalog.to_char(month, 'YYYY_MM');
        EXECUTE pg_catalog.format('CREATE TABLE runtime_catalog.%I (LIKE runtime_catalog.change INCLUDING DEFAULTS INCLUDING COMMENTS)', name);
        EXECUTE pg_catalog.format('COMMENT ON TABLE runtime_catalog.%I IS %L', name, 'The part of change of one month');
        IF EXISTS (SELECT FROM runtime_catalog.change_other WHERE changed_at >= month AND changed_at < month + interval '1 month') THEN
            LOCK TABLE runtime_catalog.change_other IN ACCESS EXCLUSIVE MODE;
            EXECUTE pg_catalog.format(
                'WITH moved AS (DELETE FROM runtime_catalog.change_other WHERE changed_at >= %2$L AND changed_at < %3$L RETURNING *) '
                'INSERT INTO runtime_catalog.%1$I SELECT * FROM moved', name, month, month + interval '1 month');
        END IF;
        EXECUTE pg_catalog.format('CREATE TRIGGER %I AFTER DELETE OR TRUNCATE ON runtime_catalog.%I '
                                  'FOR EACH STATEMENT EXECUTE FUNCTION runtime_catalog.record_forgetting()', name || '_forgets', name);
        EXECUTE pg_catalog.format('ALTER TABLE runtime_catalog.%I ENABLE ALWAYS TRIGGER %I', name, name || '_forgets');
        EXECUTE pg_catalog.format('ALTER TABLE runtime_catalog.change ATTACH PARTITION runtime_catalog.%I FOR VALUES FROM (%L) TO (%L)',
                                  name, month, month + interval '1 month');
        COMMIT;
    END LOOP;
END
$$;

RESET timezone;
RESET ROLE;
