-- Rejects by reason, the most frequent first, with an example of a file. Only reads.
SELECT reason, count(*) AS rows, count(DISTINCT source_file) AS files,
       min(source_file) AS example_file, max(rejected_at) AS last_rejected_at,
       min({day}) AS first_date, max({day}) AS last_date,
       count(*) FILTER (WHERE {day} IS NULL) AS undated
FROM forecast_sync_rejects
WHERE (%(all)s OR resolved_run_id IS NULL)
  AND (%(run_id)s::text IS NULL OR %(run_id)s IN (run_id, last_run_id))
GROUP BY reason
ORDER BY rows DESC, reason
