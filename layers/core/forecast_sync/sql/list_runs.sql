-- The newest runs first. Only reads.
SELECT run_id, status, sync_type, trigger, git_ref, neon_branch, last_sync_timestamp, window_low,
       window_high, window_rows, rejected, candidates, superseded, good, inserted, updated,
       unchanged, warnings, error_message, created_at, finished_at
FROM forecast_sync_status WHERE run_id IS NOT NULL ORDER BY id DESC LIMIT %(limit)s
