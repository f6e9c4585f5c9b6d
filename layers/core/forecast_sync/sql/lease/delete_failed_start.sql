-- Deletes the row of a run that failed to start and takes the lease now: the id of its new row says
-- when it did. May run twice: the second time finds nothing.
DELETE FROM forecast_sync_status
WHERE run_id = %(run_id)s AND status = 'failed' AND window_high IS NULL
