-- Deletes history that is older than an interval, ten thousand numbers at a time.
--
-- why:    change gets a row with every write, and nothing else ever deletes from it
-- who:    a member of runtime_catalog_owner; nobody else may delete history
-- locks:  ROW EXCLUSIVE on change, for one batch: reads and writes of the catalog go on. Reads all
--         of change once, which has no index on changed_at. The space is free for new rows after
--         the next VACUUM. If change is partitioned, partition-drop.sql costs less
--
-- Leaves one row, operation `forget`, in place of what it deleted: each batch takes away that of the
-- batch before. Each is a transaction of its own, so that stopped half-way it has done half. Run
-- again, it deletes what has become old since. Change the line that ends in `-- yours`.

SET ROLE runtime_catalog_owner;

DO $$
DECLARE
    until  CONSTANT timestamptz := pg_catalog.now() - interval '400 days';      -- yours
    batch  CONSTANT bigint      := 10000;
    first  bigint;
    last   bigint;
    marker bigint;
BEGIN
    SELECT min(change.id), max(change.id)
      INTO first, last
      FROM runtime_catalog.change AS change
     WHERE change.changed_at < until;
    WHILE first <= last LOOP
        DELETE FROM runtime_catalog.change AS change
         WHERE (change.id >= first AND change.id < first + batch AND change.changed_at < until)
            OR change.id = marker;
        SELECT max(change.id)
          INTO marker
          FROM runtime_catalog.change AS change
         WHERE change.xid = pg_catalog.pg_current_xact_id();
        COMMIT;
        first := first + batch;
    END LOOP;
END
$$;

RESET ROLE;
