-- The run's own row. Only reads.
SELECT status, last_sync_timestamp, window_high IS NOT NULL
FROM forecast_sync_status WHERE run_id = %(run_id)s
