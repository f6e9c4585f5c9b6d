-- The rerun has started, or another run has to start it. May run twice: the flag is only cleared.
UPDATE forecast_sync_status SET rerun_requested = false WHERE run_id = %(run_id)s
