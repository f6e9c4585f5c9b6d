-- Typed as the table file says; gone with the transaction, so it may run twice.
CREATE TEMP TABLE forecast_sync_probe ({columns}) ON COMMIT DROP
