-- Whether another run has requested that this one is run again. Only reads.
SELECT coalesce(rerun_requested, false) FROM forecast_sync_status WHERE run_id = %(run_id)s
