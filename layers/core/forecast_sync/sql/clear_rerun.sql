-- The rerun has started. May run twice.
UPDATE forecast_sync_status SET rerun_requested = false WHERE run_id = %(run_id)s
