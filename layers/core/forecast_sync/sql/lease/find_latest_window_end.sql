-- The latest end of a window from which a run of this lake has written rows. Only reads.
SELECT max(window_high)
FROM forecast_sync_status AS run
WHERE run_id IS NOT NULL AND NOT dry_run AND source = %(source)s
  AND (%(scope)s::text IS NULL OR table_name = %(scope)s)
  AND (status = 'succeeded'
       OR EXISTS (SELECT FROM forecast_sync_batch WHERE forecast_sync_batch.run_id = run.run_id))
