-- How many rows the target has. Only reads.
SELECT count(*) FROM {target}
