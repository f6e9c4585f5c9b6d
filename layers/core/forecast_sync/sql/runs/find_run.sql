-- A run, its counts, and what its batches have committed so far. What an older version has no column
-- for is read as JSON. Only reads.
SELECT run.status, count(DISTINCT page) FILTER (WHERE page >= 0) AS pages_begun,
       coalesce(sum(batch.inserted), 0) AS inserted, coalesce(sum(batch.updated), 0) AS updated,
       coalesce(sum(batch.unchanged), 0) AS unchanged, coalesce(sum(batch.rejected), 0) AS rejected,
       json_build_object(
           'window_rows', run.window_rows, 'rejected', run.rejected,
           'candidates', run.candidates, 'superseded', run.superseded, 'good', run.good,
           'inserted', run.inserted, 'updated', run.updated, 'unchanged', run.unchanged,
           'deleted', coalesce((to_jsonb(run) ->> 'deleted')::bigint, 0)
       ) AS counts,
       to_jsonb(run) ->> 'definition' AS definition,
       to_jsonb(run) ->> 'window_reason' AS window_reason
FROM forecast_sync_status AS run
LEFT JOIN forecast_sync_batch AS batch ON batch.run_id = run.run_id
WHERE run.run_id = %(run_id)s
GROUP BY run.id
