-- The rerun has started, or another run has taken the wish over. May run twice.
UPDATE forecast_sync_status SET rerun_requested = false WHERE run_id = %(run_id)s
