-- The columns of the given tables, as the search path finds them. Only reads.
SELECT relname, attname
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relname = ANY(%s) AND attnum > 0 AND NOT attisdropped AND pg_table_is_visible(pg_class.oid)
