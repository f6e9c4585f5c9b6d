-- Lists the target's rows with the staged keys. Run twice, it would list them twice: the caller notes, in
-- the same transaction, that the step is done.
WITH found AS MATERIALIZED (
    SELECT {row_key} AS row_key, target.{date} AS business_date
    FROM {target} AS target JOIN forecast_sync_stage AS source ON {same_key}
), dates AS (
    INSERT INTO forecast_sync_deletion_date (
        table_name, lake, survey_id, query_execution_id, step, business_date, row_count
    )
    SELECT %(table_name)s, %(lake)s, %(survey_id)s, %(query_execution_id)s, %(step)s, business_date,
           count(*)
    FROM found GROUP BY business_date
), listed AS (
    INSERT INTO forecast_sync_deletion (
        query_execution_id, number, step, run_id, kind, business_date, row_key
    )
    SELECT %(query_execution_id)s, %(listed)s + row_number() OVER (), %(step)s, %(run_id)s, %(kind)s,
           business_date, row_key
    FROM found LIMIT %(room)s
    RETURNING 1
)
SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM listed)
