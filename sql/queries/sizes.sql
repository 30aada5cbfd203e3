-- How large each table of the catalog is, with its indexes, and how much of it is dead rows.
--
-- why:    to see what grows (change does, with every write) and whether autovacuum keeps up
-- who:    any role that may connect; the counts are the statistics' estimates
-- locks:  ACCESS SHARE on each table for a moment

SELECT stat.relname                                                        AS table_name,
       stat.n_live_tup                                                     AS live_rows,
       stat.n_dead_tup                                                     AS dead_rows,
       pg_catalog.pg_size_pretty(pg_catalog.pg_table_size(stat.relid))          AS table_size,
       pg_catalog.pg_size_pretty(pg_catalog.pg_indexes_size(stat.relid))        AS index_size,
       pg_catalog.pg_size_pretty(pg_catalog.pg_total_relation_size(stat.relid)) AS total_size,
       greatest(stat.last_vacuum, stat.last_autovacuum)                    AS last_vacuum,
       greatest(stat.last_analyze, stat.last_autoanalyze)                  AS last_analyze
  FROM pg_catalog.pg_stat_user_tables AS stat
 WHERE stat.schemaname = 'runtime_catalog'
 ORDER BY pg_catalog.pg_total_relation_size(stat.relid) DESC;
