-- The batch's rows, typed as in the target. May run twice: the table is dropped with the transaction.
CREATE TEMP TABLE forecast_sync_stage ON COMMIT DROP
AS SELECT {columns} FROM {target} WITH NO DATA
