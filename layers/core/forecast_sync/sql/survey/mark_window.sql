-- Notes in which survey's window objects are: Record status then marks exactly these as loaded, unless
-- another run has surveyed the lake since. May run twice: it writes the same again.
UPDATE forecast_sync_file SET survey_id = %(survey_id)s
WHERE table_name = %(table_name)s AND lake = %(lake)s
  AND (state = 'pending' OR withdrawn_from IS NOT NULL)
  AND survey_id IS DISTINCT FROM %(survey_id)s
