-- Whether the target has a row: comparing a large batch with an empty target is work for nothing.
-- Only reads.
SELECT EXISTS (SELECT FROM {target})
