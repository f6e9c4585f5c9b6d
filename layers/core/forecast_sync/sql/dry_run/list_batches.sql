-- The committed batches of a query. Only reads.
SELECT page, first_row FROM forecast_sync_batch
WHERE query_execution_id = %(query_execution_id)s ORDER BY page, first_row
