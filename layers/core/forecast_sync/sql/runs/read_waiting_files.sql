-- The files that are neither loaded nor accepted, and since when the oldest of them is known. Only reads.
SELECT count(*) AS waiting_files, min(first_seen_at) AS waiting_since
FROM forecast_sync_file
WHERE table_name = %(table_name)s AND lake = %(source)s
  AND state IN ('pending', 'quarantined') AND accepted_at IS NULL
