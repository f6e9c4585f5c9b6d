-- Writes only what differs, so that it may run twice and the second time costs nothing: no row
-- version, no WAL, no lock, no id. Sorted by key: index locality, and no deadlock between pages.
WITH merged AS (
    MERGE INTO {target} AS target
    USING (SELECT {columns} FROM forecast_sync_stage ORDER BY {key}) AS source
    ON {same_key}
    WHEN MATCHED AND ({differs}) THEN UPDATE SET {assignments}
    WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})
    RETURNING merge_action() AS action
)
SELECT count(*) FILTER (WHERE action = 'INSERT'), count(*) FILTER (WHERE action = 'UPDATE')
FROM merged
