-- Queues a run that waits for the lease. May run twice, as it does with each of the run's attempts: it
-- then keeps its place.
INSERT INTO forecast_sync_waiting (run_id, execution_arn, neon_branch_id, source, table_name)
VALUES (%(run_id)s, %(execution_arn)s, %(neon_branch_id)s, %(source)s, %(table_name)s)
ON CONFLICT (run_id) DO UPDATE SET seen_at = clock_timestamp()
