-- How many rows of the target have the stage's values in the key's first column, up to a limit.
-- Only reads.
SELECT count(*) FROM (
    SELECT FROM {target}
    WHERE {first_key} = ANY (ARRAY(SELECT DISTINCT {first_key} FROM forecast_sync_stage))
    LIMIT %(limit)s
) AS near
