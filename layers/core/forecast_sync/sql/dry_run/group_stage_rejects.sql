-- The staged rejects by reason and by the columns of the report. Only reads.
SELECT reason, {by}, count(*) FROM forecast_sync_stage GROUP BY reason, {by}
