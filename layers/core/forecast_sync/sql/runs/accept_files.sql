-- Notes that somebody has accepted that quarantined objects are left out. May run twice: the first to do
-- so stands.
UPDATE forecast_sync_file SET accepted_at = clock_timestamp(), accepted_by = %(by)s
WHERE table_name = %(table_name)s AND lake = %(lake)s AND key = ANY (%(keys)s)
  AND accepted_at IS NULL
