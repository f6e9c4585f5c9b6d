-- One row, of a table where the stack has several: this lake's watermark and last success, the running run, and how the last run ended.
-- The epoch isn't a watermark: it is what a first backfill records. Only reads.
WITH success AS (
    SELECT run_id, finished_at FROM forecast_sync_status
    WHERE status = 'succeeded' AND run_id IS NOT NULL AND source = %(source)s
      AND (%(scope)s::text IS NULL OR table_name = %(scope)s)
    ORDER BY finished_at DESC NULLS LAST LIMIT 1
), latest AS (
    SELECT run_id, status, error_message FROM forecast_sync_status
    WHERE run_id IS NOT NULL AND status <> 'running'
      AND (%(scope)s::text IS NULL OR table_name = %(scope)s)
    ORDER BY id DESC LIMIT 1
)
SELECT (SELECT max(last_sync_timestamp) FROM forecast_sync_status
        WHERE status = 'succeeded' AND run_id IS NOT NULL AND source = %(source)s
          AND (%(scope)s::text IS NULL OR table_name = %(scope)s)
          AND last_sync_timestamp > 'epoch') AS watermark,
       (SELECT run_id FROM success) AS last_success,
       (SELECT finished_at FROM success) AS last_success_at,
       (SELECT run_id FROM forecast_sync_status
        WHERE status = 'running' AND run_id IS NOT NULL
          AND (%(scope)s::text IS NULL OR table_name = %(scope)s)) AS running,
       (SELECT run_id FROM latest) AS last_run,
       (SELECT status FROM latest) AS last_status,
       (SELECT error_message FROM latest) AS error
