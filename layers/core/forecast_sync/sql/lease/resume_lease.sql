-- A redriven run takes the lease again, and whatever is left of it from before is fenced: its redrive
-- count is lower. May run twice: it writes the same again.
UPDATE forecast_sync_status
SET status = 'running', error_message = NULL, finished_at = NULL, redrive_count = %(redrive_count)s
WHERE run_id = %(run_id)s AND status IN ('running', 'failed')
