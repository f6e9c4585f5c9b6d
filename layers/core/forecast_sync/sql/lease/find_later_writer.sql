-- A run that has written to the target since this one had the lease, or has succeeded without a row to
-- write, because what this run would write has left the lake: a later run, or an earlier one that was
-- redriven and whose window ends later. A run of another table, with another target, is none. Columns
-- are read as JSON, because an older version's schema lacks them. Only reads.
SELECT later.run_id
FROM forecast_sync_status AS mine
JOIN forecast_sync_status AS later ON later.id <> mine.id AND later.run_id IS NOT NULL
WHERE mine.run_id = %(run_id)s AND NOT later.dry_run
  AND coalesce(to_jsonb(later) ->> 'table_name' = to_jsonb(mine) ->> 'table_name'
               OR to_jsonb(later) -> 'target' ->> 'oid' = to_jsonb(mine) -> 'target' ->> 'oid', true)
  AND (later.id > mine.id
       OR (later.source = mine.source AND later.window_high > mine.window_high))
  AND (later.status = 'succeeded'
       OR EXISTS (SELECT FROM forecast_sync_batch WHERE forecast_sync_batch.run_id = later.run_id))
LIMIT 1
