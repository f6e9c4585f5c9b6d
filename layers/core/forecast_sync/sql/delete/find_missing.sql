-- Lists the target's rows of the run's business dates whose keys aren't staged: no object of the lake has
-- them. What was written since the window was decided stays, and so does what an archived object may
-- have. Run twice, it would list them twice: the caller notes, in the same transaction, that the step is
-- done.
WITH archived AS MATERIALIZED (
    SELECT coalesce(range_agg(daterange(first_date, last_date, '[]')), '{{}}'::datemultirange) AS dates
    FROM forecast_sync_file
    WHERE table_name = %(table_name)s AND lake = %(lake)s AND state = 'archived'
      AND (first_date, last_date) <> (DATE '0001-01-01', DATE '9999-12-31')
), found AS MATERIALIZED (
    SELECT {row_key} AS row_key, target.{date} AS business_date
    FROM {target} AS target
    WHERE target.{date} BETWEEN %(first)s AND %(last)s
      AND target.{date} <@ %(scope)s::datemultirange
      AND NOT target.{date} <@ (SELECT dates FROM archived)
      AND ({is_old})
      AND (%(parts)s::integer[] IS NULL
           OR ('x' || left(md5({first_field}), 8))::bit(32)::bigint %% %(part_count)s = ANY (%(parts)s))
      AND NOT EXISTS (SELECT FROM forecast_sync_stage AS source WHERE {same_key})
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
