-- Moves the end of a run's window. May run twice: it writes the same again. No row is updated when the run
-- has lost its lease.
UPDATE forecast_sync_status SET window_high = %(high)s
WHERE run_id = %(run_id)s AND status = 'running'
