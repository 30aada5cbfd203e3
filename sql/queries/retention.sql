-- Deletes history that is older than an interval.
--
-- why:    change gets a row with every write, and nothing else ever deletes from it
-- who:    a member of runtime_catalog_owner; nobody else may delete history
-- locks:  ROW EXCLUSIVE on change: reads and writes of the catalog go on. Reads all of change,
--         which has no index on changed_at. The space is free for new rows after the next VACUUM
--
-- Leaves one row, operation `forget`, in place of what it deleted. Run again, it deletes what has
-- become old since. Change the line that ends in `-- yours`.

BEGIN;

SET LOCAL ROLE runtime_catalog_owner;

DELETE FROM runtime_catalog.change
 WHERE changed_at < pg_catalog.now() - interval '400 days';     -- yours

COMMIT;
