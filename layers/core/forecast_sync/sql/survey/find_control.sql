-- The smallest object with rows that can be read: one of those just read, or else one that was loaded.
-- Only reads.
SELECT key FROM forecast_sync_file
WHERE table_name = %(table_name)s AND lake = %(lake)s AND row_count > 0
  AND (key = ANY (%(read_keys)s::text[]) OR state = 'loaded')
  AND key <> ALL (%(except_keys)s::text[])
ORDER BY key = ANY (%(read_keys)s::text[]) DESC, size, key LIMIT 1
