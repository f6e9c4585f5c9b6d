-- What the role may do with the target's rows, or with some columns of them. Only reads.
SELECT needed
FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS needed
WHERE has_table_privilege(to_regclass(%(table)s), needed)
   OR needed <> 'DELETE' AND has_any_column_privilege(to_regclass(%(table)s), needed)
