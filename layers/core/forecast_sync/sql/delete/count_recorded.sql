-- How many rows were deleted within a day from a run's target, but for one query's own: by runs of its table
-- and lake, or of others with the same target, as the table had before it got another name or folder. Only
-- reads.
SELECT coalesce(sum(batch.deleted), 0)
FROM forecast_sync_batch AS batch
JOIN forecast_sync_status AS run ON run.run_id = batch.run_id
WHERE batch.committed_at > clock_timestamp() - INTERVAL '1 day' AND batch.deleted > 0
  AND NOT run.dry_run AND batch.query_execution_id <> %(query_execution_id)s
  AND ((run.source = %(lake)s AND run.table_name = %(table_name)s)
       OR run.target ->> 'oid' = (SELECT own.target ->> 'oid' FROM forecast_sync_status AS own
                                  WHERE own.run_id = %(run_id)s))
