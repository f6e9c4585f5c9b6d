-- The columns of a unique index, without those that it only includes. Only reads.
SELECT array_agg(coalesce(attname::text, 'an expression') ORDER BY position)
FROM pg_index
JOIN pg_class ON pg_class.oid = indexrelid
JOIN pg_namespace ON pg_namespace.oid = relnamespace
CROSS JOIN unnest(indkey::smallint[]) WITH ORDINALITY AS part (number, position)
LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = part.number AND attnum > 0
WHERE nspname = %(schema)s AND relname = %(name)s AND position <= indnkeyatts
