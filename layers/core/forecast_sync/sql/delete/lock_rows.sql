-- Locks the rows of the batch in the order of keys, as every batch does, and counts them. Only reads.
SELECT count(*) FROM (
    SELECT FROM {target} AS target JOIN forecast_sync_leaving AS source ON {same_key}
    WHERE source.forecast_sync_kind = 'tombstone' OR ({is_old})
    ORDER BY {target_key}
    FOR UPDATE OF target
) AS locked
