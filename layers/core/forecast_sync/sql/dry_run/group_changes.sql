-- What a merge of the staged batch would do, by the columns of the report, if it has any. Only reads.
SELECT {listed}
       count(*) FILTER (WHERE target.{first_key} IS NULL),
       count(*) FILTER (WHERE target.{first_key} IS NOT NULL AND ({differs})),
       count(*) FILTER (WHERE target.{first_key} IS NOT NULL AND NOT ({differs}))
FROM forecast_sync_stage AS source LEFT JOIN {target} AS target ON {same_key}
GROUP BY ({by})
