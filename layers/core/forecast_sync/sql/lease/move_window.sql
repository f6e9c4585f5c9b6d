-- The window of a run that has the lease already, decided anew. May run twice: it says the same.
UPDATE forecast_sync_status SET window_low = %(low)s, window_high = %(high)s
WHERE run_id = %(run_id)s AND status = 'running'
