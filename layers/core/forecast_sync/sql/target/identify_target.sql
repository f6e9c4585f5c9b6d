-- The target's identity: its oid, the numbers of the given columns, the transactions that altered these
-- last, and the files that hold its rows, of all leaves when it is partitioned. Only reads.
SELECT target.oid::bigint,
       (SELECT json_object_agg(attname, attnum) FROM pg_attribute
        WHERE attrelid = target.oid AND attname = ANY(%(columns)s) AND NOT attisdropped),
       (SELECT json_object_agg(attname, xmin::text) FROM pg_attribute
        WHERE attrelid = target.oid AND attname = ANY(%(columns)s) AND NOT attisdropped),
       ARRAY(SELECT pg_relation_filenode(leaf)::bigint
             FROM (SELECT relid AS leaf FROM pg_partition_tree(target.oid) WHERE isleaf
                   UNION SELECT target.oid) AS leaves
             WHERE pg_relation_filenode(leaf) IS NOT NULL ORDER BY 1)
FROM (SELECT to_regclass(%(target)s) AS oid) AS target
