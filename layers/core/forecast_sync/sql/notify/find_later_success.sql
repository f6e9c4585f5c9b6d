-- A run of the table that has succeeded since another one ended, whose failure is no news then. Only
-- reads.
SELECT run_id FROM forecast_sync_status
WHERE status = 'succeeded' AND finished_at > %(ended_at)s::timestamptz
  AND (%(scope)s::text IS NULL OR table_name = %(scope)s)
LIMIT 1
