-- A run that has failed while it read the whole lake by itself, after this lake's last success. Only
-- reads.
SELECT run_id, error_message
FROM forecast_sync_status
WHERE status = 'failed' AND window_reason IS NOT NULL AND source = %(source)s
  AND (%(scope)s::text IS NULL OR table_name = %(scope)s) AND NOT dry_run
  AND id > (SELECT id FROM forecast_sync_status WHERE run_id = %(last_run_id)s)
ORDER BY id DESC LIMIT 1
