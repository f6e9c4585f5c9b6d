-- The run's own row. Only reads.
SELECT id, status, last_sync_timestamp, window_low, window_high
FROM forecast_sync_status WHERE run_id = %(run_id)s
