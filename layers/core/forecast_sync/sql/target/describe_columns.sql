-- Each column's type, and whether an insert must name it. Only reads.
SELECT attname, format_type(atttypid, atttypmod), attnotnull AND NOT atthasdef
FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
