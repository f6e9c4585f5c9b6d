-- Every row of the objects that a run takes in. Only reads.
SELECT {path} AS source_path, {modified} AS source_modified, {columns}, true AS is_new,
  {is_kept} AS is_kept
FROM {table}
WHERE {run_key} = {survey_id} AND {part_key} = 'window'{window_filter}
UNION ALL
-- The rows of other objects that may have the same keys. The dates are literals, and this a branch of its
-- own: or the engine would read whole objects, and a row without a date wouldn't be rejected.
SELECT {path} AS source_path, {modified} AS source_modified, {columns}, false AS is_new, true AS is_kept
FROM {table}
WHERE {run_key} = {survey_id} AND {part_key} = 'other'{other_filter}
