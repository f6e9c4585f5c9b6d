-- Forgets the list of a run that has ended well, and its business dates of which nothing waits; of other
-- runs' dates, only a run forgets that has looked at them again and overtakes what waits for a redrive. May
-- run twice: the second time finds nothing.
WITH rows AS (
    DELETE FROM forecast_sync_deletion WHERE run_id = %(run_id)s
)
DELETE FROM forecast_sync_deletion_date
WHERE table_name = %(table_name)s AND lake = %(lake)s
  AND CASE WHEN survey_id = %(survey_id)s THEN NOT waits ELSE %(takes_in)s END
