-- What was last published about a branch; the row stays locked until the transaction ends.
-- Only reads.
SELECT state FROM forecast_sync_announced
WHERE neon_branch = %(neon_branch)s AND topic = %(topic)s FOR UPDATE
