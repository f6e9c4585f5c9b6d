-- How many objects a run's survey has judged so far: those whose rows it has written since it began. No
-- other run of its table surveys the lake meanwhile. Only reads.
SELECT count(*) AS surveyed FROM forecast_sync_file WHERE changed_at >= %(began_at)s
  AND table_name = coalesce(
      (SELECT to_jsonb(run) ->> 'table_name' FROM forecast_sync_status AS run
       WHERE run.run_id = %(run_id)s), table_name)
