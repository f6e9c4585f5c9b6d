-- How many rows the target has, as its last ANALYZE found; of a partitioned one its leaves count. Only reads.
SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint
FROM pg_partition_tree(to_regclass(quote_ident(%(target)s))) AS part
JOIN pg_class ON pg_class.oid = part.relid
WHERE part.isleaf
