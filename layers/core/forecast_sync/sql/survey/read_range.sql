-- The file ledger's rows with keys in a range, in the order of keys in which S3 lists. Only reads.
SELECT key, etag, modified, storage_class, size, row_count, first_date, last_date, reader, definition,
       state, reason, withdrawn_from, withdrawn_to, survey_id, run_id, generation
FROM forecast_sync_file
WHERE table_name = %(table_name)s AND lake = %(lake)s
  AND key > %(after)s AND (%(last)s::text IS NULL OR key <= %(last)s)
ORDER BY key
LIMIT %(limit)s
