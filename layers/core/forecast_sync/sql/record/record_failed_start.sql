-- Records a run that failed to start: it never had the lease, so it has no row yet. Its row has no
-- window, which says that it can't be resumed here. May run twice: a run has one row.
INSERT INTO forecast_sync_status (
    sync_type, last_sync_timestamp, last_sync_date, records_synced, status, error_message, run_id,
    execution_arn, source, git_ref, neon_branch, neon_branch_id, trigger, dry_run, finished_at,
    rerun_requested, redrive_count, table_name
)
SELECT %(sync_type)s, watermark, watermark::date, 0, 'failed', %(error_message)s, %(run_id)s,
       %(execution_arn)s, %(source)s, %(git_ref)s, %(neon_branch)s, %(neon_branch_id)s,
       %(trigger)s, %(dry_run)s, coalesce(%(ended_at)s::timestamptz, clock_timestamp()), false,
       %(redrive_count)s, %(table_name)s
FROM (
    SELECT coalesce(max(last_sync_timestamp), TIMESTAMP 'epoch') AS watermark
    FROM forecast_sync_status
    WHERE status = 'succeeded' AND run_id IS NOT NULL AND source = %(source)s
      AND (%(scope)s::text IS NULL OR table_name = %(scope)s)
) AS known
ON CONFLICT DO NOTHING
