-- Quarantines objects that no footer shows to be bad. Rows of a loaded one are in the target: its dates are
-- withdrawn. May run twice: the second time finds nothing.
UPDATE forecast_sync_file AS file
SET state = 'quarantined', reason = bad.reason, reader = %(reader)s, definition = %(definition)s,
    withdrawn_from = CASE WHEN file.state = 'loaded' THEN least(withdrawn_from, first_date)
                     ELSE withdrawn_from END,
    withdrawn_to = CASE WHEN file.state = 'loaded' THEN greatest(withdrawn_to, last_date)
                   ELSE withdrawn_to END,
    survey_id = NULL, changed_at = clock_timestamp(), accepted_at = NULL, accepted_by = NULL
FROM unnest(%(keys)s::text[], %(reasons)s::text[]) AS bad (key, reason)
WHERE file.table_name = %(table_name)s AND file.lake = %(lake)s AND file.key = bad.key
  AND file.state IN ('pending', 'loaded')
