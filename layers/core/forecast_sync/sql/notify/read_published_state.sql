-- What was last published about a branch; the row stays locked until the transaction ends. One of several
-- tables continues from `before`, the topic of a stack with one. Only reads.
SELECT state FROM forecast_sync_announced
WHERE neon_branch = %(neon_branch)s AND topic IN (%(topic)s, %(before)s)
ORDER BY topic = %(topic)s DESC LIMIT 1 FOR UPDATE
