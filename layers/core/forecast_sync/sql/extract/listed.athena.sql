-- Every row of the objects that a run takes in, and the rows of other objects that may have the same keys.
-- These are bounded by literal dates, in a branch of their own: or the engine would read whole objects,
-- and a row of the window without a date wouldn't be rejected. Only reads.
SELECT {path} AS source_path, {modified} AS source_modified, {columns}{deleted}, true AS row__new,
  {is_kept} AS row__kept
FROM {table}
WHERE {run_key} = {survey_id} AND {part_key} = 'window'{window_filter}
UNION ALL
SELECT {path} AS source_path, {modified} AS source_modified, {columns}{deleted}, false AS row__new,
  true AS row__kept
FROM {table}
WHERE {run_key} = {survey_id} AND {part_key} = 'other'{other_filter}
