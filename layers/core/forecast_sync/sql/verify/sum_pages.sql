-- What the batches of a query have committed, page by page. Only reads.
SELECT page, sum(inserted + updated + unchanged + rejected), sum(checksum)
FROM forecast_sync_batch WHERE query_execution_id = %(query_execution_id)s GROUP BY page
