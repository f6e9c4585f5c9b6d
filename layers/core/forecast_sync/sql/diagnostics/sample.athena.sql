-- Some row of the listed objects: its object, when that was written, its date and its key. Only reads.
SELECT source_path AS path, to_iso8601(source_modified) AS modified, CAST({date} AS varchar) AS day,
  {keys}
FROM (
{lake}
)
WHERE {present} AND {date} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'
LIMIT 1
