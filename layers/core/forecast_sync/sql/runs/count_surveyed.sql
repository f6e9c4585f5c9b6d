-- How many objects a run's survey has judged so far: those whose rows it has written since it began. No
-- other run surveys the lake meanwhile. Only reads.
SELECT count(*) AS surveyed FROM forecast_sync_file WHERE changed_at >= %(began_at)s
