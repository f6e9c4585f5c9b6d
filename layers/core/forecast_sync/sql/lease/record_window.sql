-- Records what a run's survey has made of its window. May run twice: it writes the same again.
UPDATE forecast_sync_status
SET window_low = %(low)s, window_high = %(high)s, window_reason = %(reason)s
WHERE run_id = %(run_id)s AND status = 'running'
