-- Ends the lease of a run that can't end it itself, or updates why the run failed. May run twice: it
-- writes the same again, and a run that has succeeded keeps its row.
UPDATE forecast_sync_status
SET status = %(status)s, error_message = %(error_message)s, finished_at = clock_timestamp()
WHERE run_id = %(run_id)s AND status IN ('running', 'failed')
