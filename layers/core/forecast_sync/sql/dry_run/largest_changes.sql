-- The rows of the staged batch whose watched column would change most. Only reads.
SELECT {keys}, target.{watched}::text, source.{watched}::text
FROM forecast_sync_stage AS source JOIN {target} AS target ON {same_key}
WHERE target.{watched} IS DISTINCT FROM source.{watched}
ORDER BY abs(coalesce(source.{watched}, 0) - coalesce(target.{watched}, 0)) DESC, {keys}
LIMIT %(limit)s
