-- Gives what an older version has recorded, which synced one table and named none, to the table of its lake,
-- unless the target is empty: then an older version has filled another one. May run twice: the second time
-- finds nothing.
WITH rejects AS (
    UPDATE forecast_sync_rejects SET table_name = %(scope)s
    WHERE table_name IS NULL AND starts_with(source_file, %(source)s)
      AND EXISTS (SELECT FROM {target})
)
UPDATE forecast_sync_status SET table_name = %(scope)s
WHERE table_name IS NULL AND run_id IS NOT NULL AND source = %(source)s AND status <> 'running'
  AND EXISTS (SELECT FROM {target})
