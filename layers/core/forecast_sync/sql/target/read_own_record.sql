-- What the run's own row says of the target, and how many more rows it has inserted than deleted. Columns
-- are read as JSON, because they may be missing: a function that was updated in the middle of a run meets
-- the schema of the version before. Only reads.
SELECT to_jsonb(run) -> 'target',
       (SELECT coalesce(sum(inserted - coalesce(deleted, 0)), 0) FROM forecast_sync_batch AS batch
        WHERE batch.run_id = run.run_id),
       to_jsonb(run) ->> 'window_reason'
FROM forecast_sync_status AS run WHERE run_id = %(run_id)s
