-- Makes way for the row of a run that failed before it had the lease and has it now: the new row's id
-- says when that was. May run twice: the second time finds nothing.
DELETE FROM forecast_sync_status
WHERE run_id = %(run_id)s AND status = 'failed' AND window_high IS NULL
