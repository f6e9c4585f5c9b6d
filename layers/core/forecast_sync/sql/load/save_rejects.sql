-- Windows overlap, so the same reject comes again: its content hash admits it once. A full run
-- notes that it has seen it, and a resolved one is open again. May run twice: it writes the same
-- again. Where a stack has several tables, two of them may reject the same row.
INSERT INTO forecast_sync_rejects (
    content_hash, run_id, last_run_id, source_file, reason, row_json, table_name
)
SELECT DISTINCT ON (content_hash)
       content_hash, %(run_id)s, %(run_id)s, source_file, reason, row_json, %(scope)s
FROM (
    SELECT *, md5(concat_ws(E'\n', source_file, reason, row_json::text, %(scope)s::text)) AS content_hash
    FROM forecast_sync_stage
) AS hashed
ORDER BY content_hash
ON CONFLICT (content_hash) DO UPDATE
SET last_run_id = excluded.last_run_id, resolved_run_id = NULL
WHERE %(full)s OR forecast_sync_rejects.resolved_run_id IS NOT NULL
