-- Has quarantined objects judged again by the next run, and no longer counts it as accepted that they are left
-- out. May run twice: it writes the same again.
UPDATE forecast_sync_file
SET reader = NULL, retried_at = clock_timestamp(), retried_by = %(by)s,
    accepted_at = NULL, accepted_by = NULL
WHERE table_name = %(table_name)s AND lake = %(lake)s AND key = ANY (%(keys)s)
