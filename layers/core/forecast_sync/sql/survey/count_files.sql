-- How many objects can be read, how many are quarantined, and how many of these have left rows in the
-- target that nobody has accepted. Only reads.
SELECT count(*) FILTER (WHERE state IN ('pending', 'loaded')),
       count(*) FILTER (WHERE state = 'quarantined'),
       count(*) FILTER (WHERE state = 'quarantined' AND withdrawn_from IS NOT NULL
                        AND accepted_at IS NULL)
FROM forecast_sync_file
WHERE table_name = %(table_name)s AND lake = %(lake)s
