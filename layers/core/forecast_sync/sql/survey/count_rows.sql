-- How many rows objects have, as their footers say. Only reads.
SELECT coalesce(sum(row_count), 0) FROM forecast_sync_file
WHERE table_name = %(table_name)s AND lake = %(lake)s AND key = ANY (%(keys)s)
