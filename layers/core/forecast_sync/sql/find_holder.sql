-- The run that holds the lease. Only reads.
SELECT run_id, execution_arn, neon_branch_id
FROM forecast_sync_status WHERE status = 'running' AND run_id IS NOT NULL
