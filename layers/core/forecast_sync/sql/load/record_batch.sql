-- The ledger's row, in the batch's own transaction: the batch is committed exactly when its row is.
-- Written by way of JSON, which leaves out the definition where a database of an older version has no
-- column for it yet.
INSERT INTO forecast_sync_batch
SELECT ledger.* FROM jsonb_populate_record(NULL::forecast_sync_batch, jsonb_build_object(
    'query_execution_id', %(query_execution_id)s::text, 'page', %(page)s::integer,
    'first_row', %(first_row)s::bigint, 'last_row', %(last_row)s::bigint,
    'run_id', %(run_id)s::text, 'inserted', %(inserted)s::bigint, 'updated', %(updated)s::bigint,
    'unchanged', %(unchanged)s::bigint, 'rejected', %(rejected)s::bigint,
    'checksum', %(checksum)s::numeric, 'committed_at', clock_timestamp(),
    'definition', %(definition)s::text, 'deleted', %(deleted)s::bigint
)) AS ledger
