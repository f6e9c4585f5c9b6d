-- The target's rows of the stage's first keys. Only reads.
SELECT * FROM {target}
WHERE {first_key} = ANY (ARRAY(SELECT DISTINCT {first_key} FROM forecast_sync_stage))
