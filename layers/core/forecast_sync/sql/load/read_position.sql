-- How many rows of a page are committed. Only reads.
SELECT coalesce(max(last_row), 0)
FROM forecast_sync_batch
WHERE query_execution_id = %(query_execution_id)s AND page = %(page)s
