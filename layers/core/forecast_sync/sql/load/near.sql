-- The target's rows that have the stage's values in the key's first column. Only reads.
SELECT * FROM {target}
WHERE {first_key} = ANY (ARRAY(SELECT DISTINCT {first_key} FROM forecast_sync_stage))
