-- Gives what an older version has recorded, which synced one table and named none, to the table of its lake.
-- May run twice: the second time finds nothing.
WITH rejects AS (
    UPDATE forecast_sync_rejects SET table_name = %(scope)s
    WHERE table_name IS NULL AND starts_with(source_file, %(source)s)
)
UPDATE forecast_sync_status SET table_name = %(scope)s
WHERE table_name IS NULL AND run_id IS NOT NULL AND source = %(source)s AND status <> 'running'
