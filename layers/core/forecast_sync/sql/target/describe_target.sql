-- Everything that a run holds against the table file, in one row: the encodings, whether the target
-- exists and the role may alter it, whether a crash would empty it or a partition of it, its columns, and
-- the columns of each unique index that covers all rows. A unique index whose collation takes different
-- texts for equal isn't one of them. Only reads.
WITH target AS (SELECT to_regclass(%(table)s)::oid AS oid)
SELECT
    current_setting('server_encoding'),
    pg_client_encoding(),
    (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class JOIN target ON target.oid = pg_class.oid),
    (SELECT bool_or(relpersistence = 'u') FROM target, pg_class
     WHERE pg_class.oid = target.oid
        OR pg_class.oid IN (SELECT relid FROM pg_partition_tree(target.oid) WHERE isleaf)),
    (
        SELECT json_agg(json_build_object(
            'name', attname,
            -- Six digits are what a timestamp has anyway.
            'type', replace(format_type(atttypid, atttypmod), 'timestamp(6)', 'timestamp'),
            'not_null', attnotnull OR typnotnull,
            'has_default', atthasdef OR attidentity <> '' OR typdefault IS NOT NULL,
            'generated', attgenerated <> '' OR attidentity = 'a',
            'loose_collation', CASE WHEN NOT collisdeterministic THEN collname END
        ) ORDER BY attnum)
        FROM target
        JOIN pg_attribute ON attrelid = target.oid
        JOIN pg_type ON pg_type.oid = atttypid
        LEFT JOIN pg_collation ON pg_collation.oid = attcollation
        WHERE attnum > 0 AND NOT attisdropped
    ),
    (
        SELECT json_agg((
            SELECT json_agg(attname ORDER BY place)
            FROM unnest(indkey) WITH ORDINALITY AS indexed (number, place)
            JOIN pg_attribute ON attrelid = indrelid AND attnum = number
            WHERE place <= indnkeyatts
        ) ORDER BY indexrelid)
        FROM target
        JOIN pg_index ON indrelid = target.oid
        WHERE indisunique AND indisvalid AND indpred IS NULL AND indexprs IS NULL
          AND NOT EXISTS (
              SELECT FROM pg_collation
              WHERE oid = ANY (indcollation::oid[]) AND NOT collisdeterministic
          )
    )
