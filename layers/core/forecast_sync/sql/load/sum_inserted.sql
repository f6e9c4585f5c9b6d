-- The same insert, with the hashes of what then stands in the target, triggers included.
WITH inserted AS (
    {insert}
    RETURNING {hash} AS hash
)
SELECT count(*), coalesce(sum(hash), 0) FROM inserted
