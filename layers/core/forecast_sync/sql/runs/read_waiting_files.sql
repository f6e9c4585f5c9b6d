-- The files that are neither loaded nor accepted: how many, how many of them are left out because they can't
-- be read, which was uploaded first and when; and, beside it, the newest file that is loaded. Only reads.
WITH waiting AS (
    SELECT key, modified, state
    FROM forecast_sync_file
    WHERE table_name = %(table_name)s AND lake = %(source)s
      AND state IN ('pending', 'quarantined') AND accepted_at IS NULL
), newest AS (
    SELECT key, modified
    FROM forecast_sync_file
    WHERE table_name = %(table_name)s AND lake = %(source)s AND state = 'loaded'
    ORDER BY modified DESC LIMIT 1
)
SELECT (SELECT count(*) FROM waiting) AS waiting_files,
       (SELECT min(modified) FROM waiting) AS waiting_since,
       (SELECT key FROM waiting ORDER BY modified, key LIMIT 1) AS waiting_file,
       (SELECT key FROM newest) AS newest_file,
       (SELECT modified FROM newest) AS newest_file_at,
       (SELECT count(*) FROM waiting WHERE state = 'quarantined') AS quarantined_files
