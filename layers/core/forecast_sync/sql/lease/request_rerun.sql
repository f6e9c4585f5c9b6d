-- Tells the holder to run once more. May run twice: the flag is only set. No row back means that
-- the lease has become free.
UPDATE forecast_sync_status SET rerun_requested = true
WHERE run_id = %(run_id)s AND status = 'running'
RETURNING run_id
