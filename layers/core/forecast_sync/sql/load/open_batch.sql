-- The fence: waits for a takeover of the lease and for another call that loads the same page, and
-- only then reads the run's row and the ledger. The run must work, under the redrive count at which this
-- call began and with the definition of its page. Both are read as JSON, because a database of an older
-- version lacks their columns until the next run begins. Sent as one query, each statement still has a
-- snapshot of its own. Only reads.
SELECT pg_advisory_xact_lock_shared({lease});
SELECT pg_advisory_xact_lock(hashtextextended({query_execution_id}, {page}));
SELECT (SELECT status FROM forecast_sync_status WHERE run_id = {run_id}),
       (SELECT (to_jsonb(run) ->> 'redrive_count')::integer IS NOT DISTINCT FROM {redrive_count}::integer
        FROM forecast_sync_status AS run WHERE run_id = {run_id}),
       (SELECT coalesce(max(last_row), 0) FROM forecast_sync_batch
        WHERE query_execution_id = {query_execution_id} AND page = {page}),
       (SELECT to_jsonb(run) ->> 'definition' FROM forecast_sync_status AS run
        WHERE run_id = {run_id})
