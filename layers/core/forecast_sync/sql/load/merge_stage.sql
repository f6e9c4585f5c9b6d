-- Writes only rows that differ, so it may run twice, and the second time costs nothing: no row
-- version, no WAL, no lock, no id. Sorted by key: index locality, and no deadlock between pages.
-- The hashes are of the target's rows after triggers have run.
WITH merged AS (
    MERGE INTO {target} AS target
    USING (
        SELECT {columns} FROM forecast_sync_stage
        WHERE %(differing)s::tid[] IS NULL OR ctid = ANY (%(differing)s::tid[])
        ORDER BY {key}
    ) AS source
    ON {same_key}
    WHEN MATCHED AND ({differs}) THEN UPDATE SET {assignments}
    WHEN NOT MATCHED THEN INSERT ({columns}, {written_at}) VALUES ({values}, CURRENT_TIMESTAMP)
    RETURNING merge_action() AS action, {hash} AS hash
)
SELECT count(*) FILTER (WHERE action = 'INSERT'), count(*) FILTER (WHERE action = 'UPDATE'),
       coalesce(sum(hash), 0)
FROM merged
