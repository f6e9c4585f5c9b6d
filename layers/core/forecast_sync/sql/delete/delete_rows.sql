-- Deletes the rows of the batch; what was written since the window was decided is left alone, unless a
-- tombstone says that it goes. May run twice: the second time finds nothing.
DELETE FROM {target} AS target USING forecast_sync_leaving AS source
WHERE {same_key} AND (source.forecast_sync_kind = 'tombstone' OR ({is_old}))
