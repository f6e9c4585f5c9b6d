-- How many connections the server allows to users that aren't superusers. Only reads.
SELECT current_setting('max_connections')::integer
     - current_setting('superuser_reserved_connections')::integer
