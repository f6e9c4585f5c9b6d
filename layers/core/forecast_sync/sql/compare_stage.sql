-- What a merge would insert and update, for a dry run. Only reads.
SELECT count(*) FILTER (WHERE target.{first_key} IS NULL),
       count(*) FILTER (WHERE target.{first_key} IS NOT NULL AND ({differs}))
FROM forecast_sync_stage AS source LEFT JOIN {target} AS target ON {same_key}
