-- Inserts or replaces the rows of objects. A new version is nobody's yet and accepted by nobody. May run
-- twice: it writes the same again.
INSERT INTO forecast_sync_file AS known (
    table_name, lake, key, etag, modified, storage_class, size, row_count, first_date, last_date,
    reader, definition, state, reason, withdrawn_from, withdrawn_to, survey_id, run_id, generation
)
SELECT %(table_name)s, %(lake)s, key, etag, modified, storage_class, size, row_count, first_date,
       last_date, reader, definition, state, reason, withdrawn_from, withdrawn_to, survey_id, run_id,
       generation
FROM jsonb_to_recordset(%(files)s) AS file (
    key TEXT, etag TEXT, modified TIMESTAMPTZ, storage_class TEXT, size BIGINT, row_count BIGINT,
    first_date DATE, last_date DATE, reader INTEGER, definition TEXT, state TEXT, reason TEXT,
    withdrawn_from DATE, withdrawn_to DATE, survey_id TEXT, run_id TEXT, generation INTEGER
)
ON CONFLICT (table_name, lake, key) DO UPDATE SET
    etag = excluded.etag, modified = excluded.modified, storage_class = excluded.storage_class,
    size = excluded.size, row_count = excluded.row_count,
    first_date = excluded.first_date, last_date = excluded.last_date,
    reader = excluded.reader, definition = excluded.definition,
    state = excluded.state, reason = excluded.reason,
    withdrawn_from = excluded.withdrawn_from, withdrawn_to = excluded.withdrawn_to,
    survey_id = excluded.survey_id, run_id = excluded.run_id, generation = excluded.generation,
    changed_at = clock_timestamp(),
    first_seen_at = CASE
        WHEN (known.etag, known.modified, known.size) = (excluded.etag, excluded.modified, excluded.size)
        THEN known.first_seen_at ELSE clock_timestamp() END,
    taken_in_at = CASE WHEN excluded.state = 'loaded' THEN known.taken_in_at END,
    accepted_at = CASE WHEN excluded.state = known.state AND known.etag = excluded.etag
        THEN known.accepted_at END,
    accepted_by = CASE WHEN excluded.state = known.state AND known.etag = excluded.etag
        THEN known.accepted_by END
