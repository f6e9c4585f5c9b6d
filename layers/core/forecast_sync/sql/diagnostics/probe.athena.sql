-- The made-up row, in the shape that the lake's rows have in a run's statements. Only reads.
SELECT {path} AS source_path, from_iso8601_timestamp({modified}) AS source_modified, {values},
  CAST(NULL AS timestamp) AS source_newest, true AS row__new, true AS row__kept
