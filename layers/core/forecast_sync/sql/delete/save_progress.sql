-- Notes how far a run's deletions have come, in the transaction of the step. May run twice: it writes the
-- same again.
UPDATE forecast_sync_status SET deletions = %(deletions)s WHERE run_id = %(run_id)s
