-- The batch's rejects; gone with the transaction, so it may run twice.
CREATE TEMP TABLE forecast_sync_stage (source_file text, reason text, row_json json) ON COMMIT DROP
