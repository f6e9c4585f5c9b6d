-- Objects with rows of certain states that may have some of certain dates, in the order of their keys.
-- An object whose rows have no dates belongs to a list of all dates only. Only reads.
SELECT key, etag, modified, size, row_count
FROM forecast_sync_file AS file
WHERE table_name = %(table_name)s AND lake = %(lake)s AND key > %(after)s
  AND state = ANY (%(states)s) AND row_count > 0
  AND EXISTS (
      SELECT FROM unnest(%(firsts)s::date[], %(lasts)s::date[]) AS wanted (first, last)
      WHERE coalesce(first_date, DATE '0001-01-01') <= wanted.last
        AND coalesce(last_date, DATE '9999-12-31') >= wanted.first
        AND (first_date IS NOT NULL
             OR (wanted.first, wanted.last) = (DATE '0001-01-01', DATE '9999-12-31'))
  )
ORDER BY key
LIMIT %(limit)s
