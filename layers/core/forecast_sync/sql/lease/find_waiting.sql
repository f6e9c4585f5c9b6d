-- The runs that wait for the lease, the one that has waited longest first. Only reads.
SELECT run_id, execution_arn, neon_branch_id, source, table_name, rerun_requested,
       seen_at < clock_timestamp() - make_interval(mins => %(minutes)s)
FROM forecast_sync_waiting
WHERE %(scope)s::text IS NULL OR table_name = %(scope)s
ORDER BY queued_at, run_id
