-- The first quarantined objects, or only those that have left rows in the target that nobody has
-- accepted. Only reads.
SELECT key, reason
FROM forecast_sync_file
WHERE table_name = %(table_name)s AND lake = %(lake)s AND state = 'quarantined'
  AND (NOT %(only_lost)s OR withdrawn_from IS NOT NULL AND accepted_at IS NULL)
ORDER BY key
LIMIT %(limit)s
