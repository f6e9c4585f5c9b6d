-- Requests a rerun from the run that gets the lease next. May run twice: the flag is only set.
UPDATE forecast_sync_waiting SET rerun_requested = true WHERE run_id = %(run_id)s
