-- Ends the lease of a run that can't end it itself. May run twice: only a running row changes.
UPDATE forecast_sync_status
SET status = %(status)s, error_message = %(error_message)s, finished_at = clock_timestamp()
WHERE run_id = %(run_id)s AND status = 'running'
