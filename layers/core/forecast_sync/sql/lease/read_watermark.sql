-- How far this lake has been synced into this database; rows of other lakes, and rows without a
-- run, don't count. Only reads.
SELECT max(last_sync_timestamp)
FROM forecast_sync_status
WHERE status = 'succeeded' AND run_id IS NOT NULL AND source = %(source)s
  AND (%(scope)s::text IS NULL OR table_name = %(scope)s)
