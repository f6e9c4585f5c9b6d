-- A page of the runs that match the filters, newest first, after the last one of the previous page.
-- What an older version has no column for is read as JSON. Only reads.
SELECT run_id, status, sync_type, trigger, git_ref, neon_branch, dry_run, execution_arn,
       last_sync_timestamp, window_low, window_high, window_rows, rejected, candidates, superseded,
       good, inserted, updated, unchanged, warnings,
       left(error_message, %(characters)s) AS error_message, created_at, finished_at,
       to_jsonb(run) ->> 'definition' AS definition,
       to_jsonb(run) ->> 'window_reason' AS window_reason,
       to_jsonb(run) ->> 'table_name' AS "table",
       (to_jsonb(run) ->> 'deleted')::bigint AS deleted,
       (to_jsonb(run) ->> 'deletes_deferred')::bigint AS deletes_deferred
FROM forecast_sync_status AS run
WHERE run_id IS NOT NULL
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(sync_type)s::text IS NULL OR sync_type = %(sync_type)s)
  AND (%(trigger)s::text IS NULL OR trigger = %(trigger)s)
  AND (%(table)s::text IS NULL OR to_jsonb(run) ->> 'table_name' = %(table)s)
  AND (%(after)s::text IS NULL OR id < (
      SELECT id FROM forecast_sync_status AS last WHERE last.run_id = %(after)s))
ORDER BY id DESC LIMIT %(limit)s
