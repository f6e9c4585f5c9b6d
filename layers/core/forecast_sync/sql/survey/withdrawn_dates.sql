-- The business dates of versions that are replaced or gone and that no run has gone over since, within
-- the run's bounds. Only reads.
SELECT lower(merged), upper(merged) - 1
FROM (
    SELECT unnest(range_agg(
        daterange(withdrawn_from, withdrawn_to, '[]') * daterange(%(first)s, %(last)s, '[]')
    )) AS merged
    FROM forecast_sync_file
    WHERE table_name = %(table_name)s AND lake = %(lake)s AND withdrawn_from IS NOT NULL
) AS ranges
ORDER BY 1
