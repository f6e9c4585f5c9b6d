-- The staged rejects by reason and by the columns of the report, if it has any. Only reads.
SELECT reason, {listed} count(*) FROM forecast_sync_stage GROUP BY reason, ({by})
