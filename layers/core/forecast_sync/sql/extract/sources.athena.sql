-- Every row of the source with its COPY-text line or the reason why the target can't hold it, and
-- which of a key's rows is the newest. Only reads.
WITH source AS (
{source}
),
exact AS (
  SELECT *{exact_columns} FROM source
),
lined AS (
  SELECT *, {line} AS line FROM exact
),
checked AS (
  SELECT *, {reject_reason} AS reject_reason FROM lined
),
in_window AS (
  SELECT * FROM checked{window_filter}
),
{candidates},
ranked AS (
  SELECT line, {first_key} AS first_key{warnings}, row_number() OVER (
    PARTITION BY {key}
    ORDER BY {newest} DESC NULLS LAST, source_modified DESC, source_path DESC, line DESC
  ) AS newest_first
  FROM candidates
)
