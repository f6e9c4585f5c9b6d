-- A full run reads every object, so a reject that it hasn't met again is repaired or gone. With
-- dates, that holds for rows of these dates only. May run twice: what is resolved stays so.
UPDATE forecast_sync_rejects SET resolved_run_id = %(run_id)s
WHERE resolved_run_id IS NULL AND last_run_id <> %(run_id)s
  AND starts_with(source_file, (
      SELECT source FROM forecast_sync_status WHERE run_id = %(run_id)s
  ))
  AND (%(scope)s::text IS NULL OR table_name IS NULL OR table_name = %(scope)s)
  AND (%(date_from)s::text IS NULL OR {day} >= %(date_from)s::text)
  AND (%(date_to)s::text IS NULL OR {day} <= %(date_to)s::text)
