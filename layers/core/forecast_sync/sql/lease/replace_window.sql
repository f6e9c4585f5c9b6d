-- Replaces the window of a run that already has the lease, and what the window rests on. May run twice:
-- it writes the same again.
UPDATE forecast_sync_status
SET window_low = %(low)s, window_high = %(high)s, definition = %(definition)s,
    window_reason = %(reason)s, target = coalesce(%(target)s::jsonb, target)
WHERE run_id = %(run_id)s AND status = 'running'
