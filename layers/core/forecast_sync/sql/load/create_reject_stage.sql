-- The batch's rejects. May run twice: the table is dropped with the transaction.
CREATE TEMP TABLE forecast_sync_stage (source_file text, reason text, row_json json) ON COMMIT DROP
