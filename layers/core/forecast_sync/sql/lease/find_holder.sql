-- The run that holds the lease. The table's name is read as JSON, because the column may be missing: a
-- function that was updated in the middle of a run meets the schema of the version before. Only reads.
SELECT run_id, execution_arn, neon_branch_id, rerun_requested, source,
       to_jsonb(run) ->> 'table_name'
FROM forecast_sync_status AS run WHERE status = 'running' AND run_id IS NOT NULL
