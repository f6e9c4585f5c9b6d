-- Inserts all staged rows, none of which the target has, sorted by key for the locality of its
-- indexes. Run twice, it would raise a unique violation, which rolls the batch back; the loader
-- compares first.
INSERT INTO {target} AS target ({columns}, {written_at})
SELECT {columns}, CURRENT_TIMESTAMP FROM forecast_sync_stage ORDER BY {key}
