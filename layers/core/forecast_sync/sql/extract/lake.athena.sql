-- Every row of the lake up to the window's end, as the target names its columns. Only reads.
SELECT {path} AS source_path, {modified} AS source_modified, {columns}
FROM {table}
WHERE {modified} <= {high}{filter}
