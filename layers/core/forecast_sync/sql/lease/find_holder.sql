-- The run that holds the lease. Only reads.
SELECT run_id, execution_arn, neon_branch_id, rerun_requested
FROM forecast_sync_status WHERE status = 'running' AND run_id IS NOT NULL
