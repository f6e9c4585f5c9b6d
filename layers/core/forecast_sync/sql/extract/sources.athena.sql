-- Every row with its COPY-text line or the reason why the target can't hold it, and which of a key's rows
-- is the newest. Each object is read once, so everything is one pass: a reject, and a row that the table
-- file's filter leaves out, is alone in its partition. Only reads.
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
sorted AS (
  SELECT *, CASE WHEN NOT is_kept THEN 'left out' WHEN reject_reason IS NOT NULL THEN 'reject' ELSE 'row' END
    AS kind
  FROM checked
),
ranked AS (
  SELECT kind, is_new, line, {first_key} AS first_key{reject_line}{warnings},
    row_number() OVER (
      PARTITION BY {key}, CASE WHEN kind <> 'row' THEN line END
      ORDER BY {newest} DESC NULLS LAST, source_modified DESC, source_path DESC, line DESC
    ) AS newest_first,
    {is_touched} AS is_touched
  FROM sorted
  WHERE is_new OR kind = 'row'
)
