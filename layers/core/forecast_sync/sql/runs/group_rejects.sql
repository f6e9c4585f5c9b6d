-- Rejects by reason, the most frequent first, each with an example file; `by_table` keeps those of
-- each table apart. When there are very many reasons, the rarest are one group. Only reads.
SELECT CASE WHEN place > %(groups)s THEN 'other reasons' ELSE left(reason, 300) END AS reason,
       nullif(named, '') AS "table",
       count(*) AS rows, count(DISTINCT source_file) AS files,
       left(min(source_file), 1024) AS example_file, max(rejected_at) AS last_rejected_at,
       left(min({day}), 40) AS first_date, left(max({day}), 40) AS last_date,
       count(*) FILTER (WHERE {day} IS NULL) AS undated
FROM (
    SELECT reason, source_file, rejected_at, row_json,
           CASE WHEN %(by_table)s THEN coalesce(table_name, '') ELSE '' END AS named
    FROM forecast_sync_rejects
    WHERE (%(all)s OR resolved_run_id IS NULL)
      AND (%(table)s::text IS NULL OR table_name = %(table)s
           OR (table_name IS NULL AND starts_with(source_file, %(lake)s)))
      AND (%(run_id)s::text IS NULL OR %(run_id)s IN (run_id, last_run_id))
) AS listed JOIN (
    SELECT reason, CASE WHEN %(by_table)s THEN coalesce(table_name, '') ELSE '' END AS named,
           row_number() OVER (ORDER BY count(*) DESC, reason) AS place
    FROM forecast_sync_rejects
    WHERE (%(all)s OR resolved_run_id IS NULL)
      AND (%(table)s::text IS NULL OR table_name = %(table)s
           OR (table_name IS NULL AND starts_with(source_file, %(lake)s)))
      AND (%(run_id)s::text IS NULL OR %(run_id)s IN (run_id, last_run_id))
    GROUP BY reason, 2
) AS ranked USING (reason, named)
GROUP BY 1, named, place > %(groups)s
ORDER BY place > %(groups)s, rows DESC, reason, named
