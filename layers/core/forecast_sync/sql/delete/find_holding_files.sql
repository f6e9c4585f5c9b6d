-- Files that can't be read, that nobody has accepted, and that may have keys of the rows to delete: their
-- business dates are unknown or overlap. A file in an archive keeps its keys, so of these only one without
-- known dates holds back what is missing. Only reads.
SELECT key, count(*) OVER ()
FROM forecast_sync_file AS file
WHERE table_name = %(table_name)s AND lake = %(lake)s AND accepted_at IS NULL
  AND CASE
      WHEN state = 'quarantined' THEN first_date IS NULL OR EXISTS (
          SELECT FROM forecast_sync_deletion_date AS found
          WHERE found.table_name = file.table_name AND found.lake = file.lake
            AND found.query_execution_id = %(query_execution_id)s
            AND business_date BETWEEN first_date AND last_date
      )
      WHEN state = 'archived' THEN %(has_missing)s AND (
          (first_date IS NULL AND row_count IS NULL)
          OR (first_date, last_date) = (DATE '0001-01-01', DATE '9999-12-31')
      )
      ELSE false
  END
ORDER BY key
LIMIT %(limit)s
