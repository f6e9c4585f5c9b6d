-- How many rows the target has of the stage's first keys, up to a limit. Only reads.
SELECT count(*) FROM (
    SELECT FROM {target}
    WHERE {first_key} = ANY (ARRAY(SELECT DISTINCT {first_key} FROM forecast_sync_stage))
    LIMIT %(limit)s
) AS near
