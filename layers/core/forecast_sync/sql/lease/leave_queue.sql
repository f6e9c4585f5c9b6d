-- A run no longer waits for the lease. May run twice: the second time finds nothing.
DELETE FROM forecast_sync_waiting WHERE run_id = %(run_id)s RETURNING rerun_requested
