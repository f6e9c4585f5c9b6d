-- Notes which business dates wait for the next run: all, or those of the steps for missing keys that have
-- changed in the lake since the survey; and counts their rows. May run twice: it writes the same again.
WITH waiting AS (
    UPDATE forecast_sync_deletion_date SET waits = NOT %(dry_run)s
    WHERE table_name = %(table_name)s AND lake = %(lake)s
      AND query_execution_id = %(query_execution_id)s
      AND (%(all)s OR (step = ANY (%(missing_steps)s) AND business_date <@ %(changed)s::datemultirange))
    RETURNING row_count
)
SELECT coalesce(sum(row_count), 0) FROM waiting
