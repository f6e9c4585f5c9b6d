-- Whether somebody asked the run to run once more. Only reads.
SELECT coalesce(rerun_requested, false) FROM forecast_sync_status WHERE run_id = %(run_id)s
