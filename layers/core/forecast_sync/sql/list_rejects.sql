-- Rejects, the newest first, after the one where the page before has ended. Only reads.
SELECT content_hash, run_id, last_run_id, resolved_run_id, source_file, reason, row_json,
       rejected_at
FROM forecast_sync_rejects
WHERE (%(all)s OR resolved_run_id IS NULL)
  AND (%(run_id)s::text IS NULL OR %(run_id)s IN (run_id, last_run_id))
  AND (%(reason)s::text IS NULL OR reason = %(reason)s)
  AND (%(after)s::text IS NULL OR (rejected_at, content_hash) < (
      SELECT rejected_at, content_hash FROM forecast_sync_rejects WHERE content_hash = %(after)s
  ))
ORDER BY rejected_at DESC, content_hash DESC
LIMIT %(limit)s
