-- Takes the lease: the partial unique index admits one running row of a table. May run twice: the caller has
-- looked for the run's own row before, under the exclusive lock.
INSERT INTO forecast_sync_status (
    sync_type, last_sync_timestamp, last_sync_date, records_synced, status, run_id, execution_arn,
    source, git_ref, neon_branch, neon_branch_id, trigger, dry_run, window_low, window_high,
    rerun_requested, redrive_count, date_from, date_to, definition, window_reason, target,
    table_name, decided_at
) VALUES (
    %(sync_type)s, %(watermark)s, %(watermark)s::date, 0, 'running', %(run_id)s, %(execution_arn)s,
    %(source)s, %(git_ref)s, %(neon_branch)s, %(neon_branch_id)s, %(trigger)s, %(dry_run)s,
    %(low)s, %(high)s, %(rerun_requested)s, %(redrive_count)s, %(date_from)s, %(date_to)s,
    %(definition)s, %(reason)s, %(target)s, %(table_name)s, clock_timestamp()
)
