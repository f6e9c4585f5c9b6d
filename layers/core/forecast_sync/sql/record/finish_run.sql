-- Ends a successful run, and moves the watermark: the latest of all runs, so it never goes back. A full
-- run begins a generation of the file ledger. May run twice: the same values are written again; the rerun
-- flag stays until the rerun has started.
UPDATE forecast_sync_status AS ended
SET status = %(status)s,
    last_sync_timestamp = coalesce(%(watermark)s, last_sync_timestamp),
    last_sync_date = coalesce(%(watermark)s, last_sync_timestamp)::date,
    records_synced = %(inserted)s::bigint + %(updated)s::bigint,
    error_message = NULL,
    window_rows = %(window_rows)s, rejected = %(rejected)s, candidates = %(candidates)s,
    superseded = %(superseded)s, good = %(good)s,
    inserted = %(inserted)s, updated = %(updated)s, unchanged = %(unchanged)s,
    warnings = %(warnings)s, deleted = %(deleted)s, deletes_deferred = %(deletes_deferred)s,
    generation = CASE WHEN %(takes_in)s THEN (
        SELECT coalesce(max(before.generation), 0)
        FROM forecast_sync_status AS before
        WHERE before.run_id <> ended.run_id AND before.source = ended.source
          AND coalesce(before.table_name = ended.table_name
                       OR before.target ->> 'oid' = ended.target ->> 'oid', true)
    ) + CASE WHEN %(is_full)s THEN 1 ELSE 0 END ELSE generation END,
    finished_at = clock_timestamp()
WHERE run_id = %(run_id)s AND status = 'running'
