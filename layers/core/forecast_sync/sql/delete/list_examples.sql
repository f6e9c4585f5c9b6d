-- Some of the rows that a query's results say should leave, as text. Only reads.
SELECT kind, row_key FROM forecast_sync_deletion
WHERE query_execution_id = %(query_execution_id)s ORDER BY number LIMIT %(limit)s
