-- The run's own row. Read as JSON, because the column may be missing: a function that was updated in
-- the middle of a run meets the schema of the version before. Only reads.
SELECT status, last_sync_timestamp, window_high IS NOT NULL,
       (to_jsonb(run) ->> 'redrive_count')::integer, finished_at
FROM forecast_sync_status AS run WHERE run_id = %(run_id)s
