-- The business dates of versions that are replaced or gone and that no run has processed since, and of
-- deletions that wait, within the run's bounds. Only reads.
SELECT lower(merged), upper(merged) - 1
FROM (
    SELECT unnest(range_agg(dates * daterange(%(first)s, %(last)s, '[]'))) AS merged
    FROM (
        SELECT daterange(withdrawn_from, withdrawn_to, '[]') AS dates
        FROM forecast_sync_file
        WHERE table_name = %(table_name)s AND lake = %(lake)s AND withdrawn_from IS NOT NULL
        UNION ALL
        SELECT daterange(business_date, business_date, '[]')
        FROM forecast_sync_deletion_date
        WHERE table_name = %(table_name)s AND lake = %(lake)s AND waits
    ) AS found
) AS ranges
ORDER BY 1
