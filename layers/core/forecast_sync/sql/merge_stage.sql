-- Writes only what differs, so that it may run twice and the second time costs nothing: no row
-- version, no WAL, no lock, no id. Sorted by key: index locality, and no deadlock between pages.
-- The hashes are of what stands in the target: of equal rows as they were found, of the others as
-- they were written, triggers included.
WITH compared AS MATERIALIZED (
    SELECT {values},
           CASE WHEN target.{first_key} IS NOT NULL AND NOT ({differs}) THEN {hash} END AS hash
    FROM (SELECT {columns} FROM forecast_sync_stage ORDER BY {key}) AS source
    LEFT JOIN {target} AS target ON {same_key}
), merged AS (
    MERGE INTO {target} AS target
    USING (SELECT {columns} FROM compared WHERE hash IS NULL) AS source
    ON {same_key}
    WHEN MATCHED AND ({differs}) THEN UPDATE SET {assignments}
    WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})
    RETURNING merge_action() AS action, {hash} AS hash
)
SELECT (SELECT count(*) FROM merged WHERE action = 'INSERT'),
       (SELECT count(*) FROM merged WHERE action = 'UPDATE'),
       (SELECT count(hash) FROM compared),
       (SELECT coalesce(sum(hash), 0) FROM merged)
         + (SELECT coalesce(sum(hash), 0) FROM compared)
