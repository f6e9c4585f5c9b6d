-- The target's rows of one business date, ordered by key. Only reads.
SELECT {keys}, {hash} FROM {target} AS target
WHERE {date} = %(day)s
ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s
