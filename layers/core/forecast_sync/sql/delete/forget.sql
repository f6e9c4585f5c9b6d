-- Forgets the list of a run that has ended well, and the business dates of which nothing waits, or that it
-- has looked at again. May run twice: the second time finds nothing.
WITH rows AS (
    DELETE FROM forecast_sync_deletion WHERE run_id = %(run_id)s
)
DELETE FROM forecast_sync_deletion_date
WHERE table_name = %(table_name)s AND lake = %(lake)s
  AND (NOT waits OR (%(takes_in)s AND survey_id <> %(survey_id)s))
