-- What the batches of a query have committed. Only reads.
SELECT coalesce(sum(inserted), 0), coalesce(sum(updated), 0), coalesce(sum(unchanged), 0),
       coalesce(sum(rejected), 0), coalesce(sum(checksum), 0),
       coalesce(sum(deleted), 0)
FROM forecast_sync_batch WHERE query_execution_id = %(query_execution_id)s
