-- Every row with its COPY-text line or the reason why the target can't hold it, and which of a key's rows
-- is the newest. Each object is read once, so everything is one pass: a reject, and a row that the table
-- file's filter leaves out, is alone in its partition; a tombstone, which deletes its key, is not.
-- Only reads.
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
  SELECT *, {reject_reason} AS reject_reason{key_line} FROM lined
),
marked AS (
  SELECT *, CASE
    WHEN NOT row__kept THEN 'left out'{tombstone} WHEN reject_reason IS NOT NULL THEN 'reject' ELSE 'row'
  END AS row__kind
  FROM checked
),
ranked AS (
  SELECT row__kind, row__new, line, {first_key} AS first_key{key_name}{reject_line}{warnings},
    row_number() OVER (
      PARTITION BY {key}, CASE WHEN {is_alone} THEN line END
      ORDER BY {newest} DESC NULLS LAST, source_modified DESC, source_path DESC, line DESC{tie}
    ) AS newest_first,
    {is_touched} AS is_touched
  FROM marked
  WHERE row__new OR {is_read}
)
