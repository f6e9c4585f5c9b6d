-- The ledger's row, in the batch's own transaction: the batch is committed exactly when its row is.
INSERT INTO forecast_sync_batch (
    query_execution_id, page, first_row, last_row, run_id, inserted, updated, unchanged, rejected,
    checksum
) VALUES (
    %(query_execution_id)s, %(page)s, %(first_row)s, %(last_row)s, %(run_id)s, %(inserted)s,
    %(updated)s, %(unchanged)s, %(rejected)s, %(checksum)s
)
