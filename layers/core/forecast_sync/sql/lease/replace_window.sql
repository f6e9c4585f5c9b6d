-- Replaces the window of a run that already has the lease, and what the window rests on; a deployment in
-- the middle of the run may have given it another lake. May run twice: it writes the same again, but
-- for the time, and whatever uses that comes later.
UPDATE forecast_sync_status
SET source = %(source)s, table_name = %(table_name)s,
    last_sync_timestamp = %(watermark)s, last_sync_date = %(watermark)s::date,
    window_low = %(low)s, window_high = %(high)s, definition = %(definition)s,
    window_reason = %(reason)s, target = %(target)s, decided_at = clock_timestamp()
WHERE run_id = %(run_id)s AND status = 'running'
