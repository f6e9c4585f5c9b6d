-- The smallest object that was loaded. Only reads.
SELECT key FROM forecast_sync_file
WHERE table_name = %(table_name)s AND lake = %(lake)s AND state = 'loaded' AND row_count > 0
  AND key <> ALL (%(except_keys)s::text[])
ORDER BY size, key LIMIT 1
