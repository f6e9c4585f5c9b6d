-- A run that waited in vain has to start the rerun that was requested of it. May run twice: the flag is
-- only set.
UPDATE forecast_sync_status SET rerun_requested = true WHERE run_id = %(run_id)s
