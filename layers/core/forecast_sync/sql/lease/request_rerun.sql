-- Requests a rerun from the holder of the lease. May run twice: the flag is only set. If no row is
-- returned, the lease has become free.
UPDATE forecast_sync_status SET rerun_requested = true
WHERE run_id = %(run_id)s AND status = 'running'
RETURNING run_id
