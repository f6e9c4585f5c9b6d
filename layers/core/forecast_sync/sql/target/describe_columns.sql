-- Each column's type, and whether a row that doesn't name it is refused. Only reads.
SELECT attname, format_type(atttypid, atttypmod), attnotnull AND NOT atthasdef
FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
