-- Every row of the lake that was there at some time, as the target names its columns; operators ask so.
-- Only reads.
SELECT {path} AS source_path, {modified} AS source_modified, {columns}{deleted}, true AS row__new, true AS row__kept
FROM {table}
WHERE {modified} <= {high}{filter}
