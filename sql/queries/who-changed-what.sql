-- The last changes of one runtime: when, what, by which token or database role.
--
-- why:    "who changed this, and what was it before?"
-- who:    a member of runtime_catalog_reader or runtime_catalog_operator
-- locks:  none that keeps anybody waiting. Reads all of change, which has no index on key; on a
--         history of millions of rows run it on a standby
--
-- One row a change, newest first; `before` and `after` hold the columns that differ. A change
-- that came over the API names the token's accessor and the request's id, which is in nginx's
-- log too; any other one, the role that was logged in. Change the lines that end in `-- yours`;
-- the path of the root namespace is ''.

SELECT change.changed_at,
       change.operation,
       change.role_name,
       change.accessor,
       token.display_name,
       change.request_id,
       (SELECT pg_catalog.jsonb_object_agg(was.key, was.value)
          FROM pg_catalog.jsonb_each(change.old) AS was
         WHERE was.value IS DISTINCT FROM change.new -> was.key) AS before,
       (SELECT pg_catalog.jsonb_object_agg(is_now.key, is_now.value)
          FROM pg_catalog.jsonb_each(change.new) AS is_now
         WHERE is_now.value IS DISTINCT FROM change.old -> is_now.key) AS after
  FROM runtime_catalog.change    AS change
  JOIN runtime_catalog.namespace AS namespace ON namespace.id = change.namespace_id
  LEFT JOIN runtime_catalog.token AS token ON token.accessor = change.accessor
 WHERE change.table_name = 'runtime'
   AND namespace.path = ''                                                         -- yours
   AND change.key = '{"type": "container", "name": "example-plugin-runtime"}'      -- yours
 ORDER BY change.id DESC
 LIMIT 50;                                                                         -- yours
