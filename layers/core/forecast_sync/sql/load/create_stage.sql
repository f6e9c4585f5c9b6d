-- The batch's rows, typed as in the target; gone with the transaction, so it may run twice.
CREATE TEMP TABLE forecast_sync_stage ON COMMIT DROP
AS SELECT {columns} FROM {target} WITH NO DATA
