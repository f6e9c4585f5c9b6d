-- The next batch of the rows to delete, by key; those that are missing in the lake are left where their
-- business dates have changed in it since. May run twice: the table is dropped with the transaction.
CREATE TEMP TABLE forecast_sync_leaving ON COMMIT DROP AS
SELECT deletion.kind AS forecast_sync_kind, {keys}
FROM forecast_sync_deletion AS deletion
CROSS JOIN LATERAL jsonb_to_record(deletion.row_key) AS record ({typed_key})
WHERE deletion.query_execution_id = {query_execution_id} AND deletion.number > {after} AND deletion.number <= {last}
  AND (deletion.kind = 'tombstone' OR NOT deletion.business_date <@ {changed}::datemultirange)
