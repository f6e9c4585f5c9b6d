-- A redriven run takes the lease again. May run twice: a running row stays as it is.
UPDATE forecast_sync_status
SET status = 'running', error_message = NULL, finished_at = NULL
WHERE run_id = %(run_id)s AND status = 'failed'
