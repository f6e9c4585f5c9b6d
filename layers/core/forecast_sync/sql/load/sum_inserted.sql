-- The same insert, with the hashes of the target's rows after triggers have run.
WITH inserted AS (
    {insert}
    RETURNING {hash} AS hash
)
SELECT count(*), coalesce(sum(hash), 0) FROM inserted
