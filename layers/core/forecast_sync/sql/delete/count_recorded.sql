-- How many rows of this table's runs were deleted within a day, but for one query's own. Only reads.
SELECT coalesce(sum(batch.deleted), 0)
FROM forecast_sync_batch AS batch
JOIN forecast_sync_status AS run ON run.run_id = batch.run_id
WHERE batch.committed_at > clock_timestamp() - INTERVAL '1 day' AND batch.deleted > 0
  AND NOT run.dry_run AND run.source = %(lake)s AND run.table_name = %(table_name)s
  AND batch.query_execution_id <> %(query_execution_id)s
