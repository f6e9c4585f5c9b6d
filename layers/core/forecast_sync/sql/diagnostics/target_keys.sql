-- What stands in the target for one business date, in the order of the key. Only reads.
SELECT {keys}, {hash} FROM {target} AS target
WHERE {date} = %(day)s
ORDER BY {order} LIMIT %(limit)s OFFSET %(offset)s
