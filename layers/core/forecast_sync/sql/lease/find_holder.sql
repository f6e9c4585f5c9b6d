-- The run that holds the lease. With a scope it is that of a table: of a run of the same table, of one that
-- an older version has started, which names none, or of one that writes to the same target. Columns are
-- read as JSON, because they may be missing: a function that was updated in the middle of a run meets the
-- schema of the version before. Only reads.
SELECT run_id, execution_arn, neon_branch_id, rerun_requested, source,
       to_jsonb(run) ->> 'table_name'
FROM forecast_sync_status AS run
WHERE status = 'running' AND run_id IS NOT NULL
  AND (%(scope)s::text IS NULL
       OR coalesce(to_jsonb(run) ->> 'table_name', %(scope)s) = %(scope)s
       OR to_jsonb(run) -> 'target' ->> 'oid' = coalesce(
           (SELECT to_jsonb(own) -> 'target' ->> 'oid' FROM forecast_sync_status AS own
            WHERE own.run_id = %(run_id)s),
           to_regclass(%(target)s)::oid::text))
ORDER BY id LIMIT 1
