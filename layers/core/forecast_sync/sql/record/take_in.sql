-- Marks the objects of a run's window as loaded, and what was withdrawn as processed; what a full run has
-- only read again isn't written. Objects that another survey has put into its window since stay as they
-- are. May run twice: the second time finds nothing.
UPDATE forecast_sync_file AS file
SET state = CASE WHEN file.state = 'pending' THEN 'loaded' ELSE file.state END,
    run_id = CASE WHEN file.state = 'pending' THEN %(run_id)s ELSE file.run_id END,
    generation = CASE WHEN file.state = 'pending' THEN run.generation ELSE file.generation END,
    taken_in_at = CASE WHEN file.state = 'pending' THEN clock_timestamp() ELSE file.taken_in_at END,
    withdrawn_from = NULL, withdrawn_to = NULL, changed_at = clock_timestamp()
FROM forecast_sync_status AS run
WHERE run.run_id = %(run_id)s
  AND file.table_name = %(table_name)s AND file.lake = %(lake)s AND file.survey_id = %(survey_id)s
  AND (file.state = 'pending' OR file.withdrawn_from IS NOT NULL)
