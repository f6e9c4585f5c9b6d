-- Objects of the lake in the order of their keys. The first and last of all dates stand for dates that
-- nobody knows. Only reads.
SELECT key, state, reason, size, row_count AS rows,
       nullif(first_date, DATE '0001-01-01')::text AS first_date,
       nullif(last_date, DATE '9999-12-31')::text AS last_date,
       modified, run_id, taken_in_at, first_seen_at, accepted_at, accepted_by, retried_at, retried_by
FROM forecast_sync_file
WHERE table_name = %(table_name)s AND lake = %(lake)s
  AND (%(after)s::text IS NULL OR key > %(after)s)
  AND (%(prefix)s::text IS NULL OR starts_with(key, %(prefix)s))
  AND (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(run_id)s::text IS NULL OR run_id = %(run_id)s)
ORDER BY key
LIMIT %(limit)s
