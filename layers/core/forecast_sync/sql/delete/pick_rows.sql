-- The next batch of the rows to delete, by key; those whose business dates have changed in the lake since
-- are left. May run twice: the table is dropped with the transaction.
CREATE TEMP TABLE forecast_sync_leaving ON COMMIT DROP AS
SELECT deletion.kind AS forecast_sync_kind, {keys}
FROM forecast_sync_deletion AS deletion
CROSS JOIN LATERAL jsonb_populate_record(NULL::{target}, deletion.row_key) AS record
WHERE deletion.query_execution_id = {query_execution_id} AND deletion.number > {after} AND deletion.number <= {last}
  AND NOT deletion.business_date <@ {changed}::datemultirange
