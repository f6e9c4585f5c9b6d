-- A page of rejects, newest first, after the last one of the page before. A large row is shortened
-- value by value, with \u2400 for NUL, which Postgres can't read. The page ends before reading its
-- rows costs much more than `weight` bytes; `page_rows` is how many it would otherwise have had.
-- Only reads.
SELECT content_hash, table_name AS "table", run_id, last_run_id, resolved_run_id,
       left(source_file, 1024) AS source_file, left(reason, 1024) AS reason,
       CASE WHEN octet_length(row_json::text) <= %(row_bytes)s THEN row_json ELSE (
           SELECT json_object_agg(name, CASE WHEN length(value) <= %(characters)s THEN value ELSE
               left(value, %(characters)s)
               || format('… (%%s characters)', to_char(length(value), 'FM999,999,999,999')) END)
           FROM json_each_text(replace(row_json::text, {nul}, '\u2400')::json) AS each(name, value)
       ) END AS row_json,
       octet_length(row_json::text) AS row_bytes,
       octet_length(row_json::text) > %(row_bytes)s AS shortened,
       rejected_at, page_rows
FROM (
    SELECT *, count(*) OVER () AS page_rows,
           row_number() OVER newest_first AS place,
           -- Without reading a compressed row, only its compressed size is known.
           sum(pg_column_size(row_json)
               * CASE WHEN pg_column_compression(row_json) IS NULL THEN 1 ELSE 100 END
           ) OVER newest_first AS weight
    FROM (
        SELECT * FROM forecast_sync_rejects
        WHERE (%(all)s OR resolved_run_id IS NULL)
          AND (%(table)s::text IS NULL OR table_name = %(table)s
               OR (table_name IS NULL AND starts_with(source_file, %(lake)s)))
          AND (%(run_id)s::text IS NULL OR %(run_id)s IN (run_id, last_run_id))
          AND (%(reason)s::text IS NULL OR reason = %(reason)s)
          AND (%(after)s::text IS NULL OR (rejected_at, content_hash) < (
              SELECT rejected_at, content_hash FROM forecast_sync_rejects
              WHERE content_hash = %(after)s
          ))
        ORDER BY rejected_at DESC, content_hash DESC
        LIMIT %(limit)s
    ) AS page
    WINDOW newest_first AS (ORDER BY rejected_at DESC, content_hash DESC)
) AS weighed
WHERE place = 1 OR weight <= %(weight)s
ORDER BY rejected_at DESC, content_hash DESC
