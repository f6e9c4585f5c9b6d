-- The state of objects, kept from changing until the transaction ends. Only reads.
SELECT key, state FROM forecast_sync_file
WHERE table_name = %(table_name)s AND lake = %(lake)s AND key = ANY (%(keys)s)
FOR UPDATE
