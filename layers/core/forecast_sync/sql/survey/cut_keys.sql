-- The key of each nth row of the file ledger, in the order in which S3 lists. Only reads.
SELECT key
FROM (
    SELECT key, row_number() OVER (ORDER BY key) AS number
    FROM forecast_sync_file
    WHERE table_name = %(table_name)s AND lake = %(lake)s AND key > %(after)s
) AS known
WHERE number %% %(rows)s = 0
ORDER BY key
