-- Deletes history below one cut: the oldest run that works, waits for its rerun, or ended within
-- the kept days. A run above the cut may be redriven, and then asks whether a later run has
-- written, so nothing above it is touched; nor are rows without a run, nor the newest success of
-- a lake and table, which is their watermark. Runs that wait for the lease don't wait for days, and files that are
-- gone aren't asked for. May run twice: the second time finds nothing.
WITH cut AS (
    SELECT min(id) AS id
    FROM forecast_sync_status
    WHERE run_id IS NOT NULL
      AND (status = 'running' OR rerun_requested
           OR coalesce(finished_at, created_at AT TIME ZONE 'UTC')
              > clock_timestamp() - make_interval(days => %(days)s))
),
watermarks AS (
    SELECT DISTINCT ON (source, table_name) id
    FROM forecast_sync_status
    WHERE run_id IS NOT NULL AND status = 'succeeded' AND date_from IS NULL AND date_to IS NULL
    ORDER BY source, table_name, last_sync_timestamp DESC, id DESC
),
runs AS (
    DELETE FROM forecast_sync_status
    WHERE run_id IS NOT NULL
      AND id < coalesce((SELECT id FROM cut), 2147483647)
      AND id NOT IN (SELECT id FROM watermarks)
    RETURNING run_id
),
queue AS (
    DELETE FROM forecast_sync_waiting
    WHERE seen_at < clock_timestamp() - make_interval(days => %(days)s)
),
files AS (
    DELETE FROM forecast_sync_file
    WHERE state = 'gone' AND withdrawn_from IS NULL
      AND changed_at < clock_timestamp() - make_interval(days => %(days)s)
),
deletions AS (
    DELETE FROM forecast_sync_deletion WHERE run_id IN (SELECT run_id FROM runs)
),
batches AS (
    DELETE FROM forecast_sync_batch WHERE run_id IN (SELECT run_id FROM runs) RETURNING 1
)
SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM batches)
