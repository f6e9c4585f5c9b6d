-- The rows of the staged batch whose watched column would change most. A difference of integers or
-- floats may be out of their range. Only reads.
SELECT {keys}, target.{watched}::text, source.{watched}::text
FROM forecast_sync_stage AS source JOIN {target} AS target ON {same_key}
WHERE target.{watched} IS DISTINCT FROM source.{watched}
ORDER BY abs(coalesce(source.{watched}, 0)::numeric - coalesce(target.{watched}, 0)::numeric) DESC, {keys}
LIMIT %(limit)s
