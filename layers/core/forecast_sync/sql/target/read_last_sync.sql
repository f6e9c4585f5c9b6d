-- The run that moved this lake's watermark last; whether another one has written to the same target since,
-- with another definition or from another lake; and how many more rows were inserted than deleted since. A
-- run of an older version has neither definition nor target. Only reads.
SELECT last.run_id, last.definition, EXISTS (
    SELECT FROM forecast_sync_status AS run
    JOIN forecast_sync_batch AS batch ON batch.run_id = run.run_id
    WHERE NOT run.dry_run AND run.id <> last.id
      AND coalesce(run.table_name = last.table_name
                   OR run.target ->> 'oid' = last.target ->> 'oid', true)
      AND (run.id > last.id OR run.finished_at > last.finished_at)
      AND (run.source <> last.source OR batch.definition <> %(definition)s)
) AS mixed, last.target, (
    SELECT coalesce(sum(batch.inserted - coalesce(batch.deleted, 0)), 0)
    FROM forecast_sync_status AS run
    JOIN forecast_sync_batch AS batch ON batch.run_id = run.run_id
    WHERE NOT run.dry_run AND run.id >= last.id
      AND coalesce(run.table_name = last.table_name
                   OR run.target ->> 'oid' = last.target ->> 'oid', true)
) AS inserted, (to_jsonb(last) ->> 'generation')::integer AS generation
FROM (
    SELECT * FROM forecast_sync_status
    WHERE run_id IS NOT NULL AND status = 'succeeded' AND source = %(source)s
      AND (%(scope)s::text IS NULL OR table_name = %(scope)s)
      AND date_from IS NULL AND date_to IS NULL
    ORDER BY last_sync_timestamp DESC, id DESC LIMIT 1
) AS last
