-- The table of a run's own row; read as JSON, because an older version's schema lacks the column. Only reads.
SELECT to_jsonb(run) ->> 'table_name' FROM forecast_sync_status AS run WHERE run_id = %(run_id)s
