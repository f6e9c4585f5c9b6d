-- How far a run's deletions have come, and when its window was decided. Only reads.
SELECT deletions, coalesce(decided_at, created_at AT TIME ZONE 'UTC')
FROM forecast_sync_status WHERE run_id = %(run_id)s
