-- Ends the lease of a run that can't end it itself, or updates why the run failed. May run twice: it
-- writes the same again; a run that has succeeded keeps its row, and so does one that was redriven
-- since the end that is recorded here.
UPDATE forecast_sync_status
SET status = %(status)s, error_message = %(error_message)s,
    finished_at = coalesce(%(ended_at)s::timestamptz, clock_timestamp()),
    redrive_count = greatest(redrive_count, %(redrive_count)s::integer)
WHERE run_id = %(run_id)s AND status IN ('running', 'failed')
  AND coalesce(redrive_count <= %(redrive_count)s::integer, true)
