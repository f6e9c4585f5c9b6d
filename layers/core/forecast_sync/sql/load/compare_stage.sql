-- How the staged rows compare with the target: how many are missing there, how many are equal there
-- and the sum of their hashes, and, when few differ, the ctids of these. One pass: OFFSET 0 keeps
-- the comparison from being made once for each aggregate. Only reads.
SELECT count(*) - count(found), count(hash), coalesce(sum(hash), 0),
       CASE WHEN count(*) - count(hash) BETWEEN 1 AND least(count(*) / 10, 100000)
            THEN array_agg(place) FILTER (WHERE hash IS NULL) END::text
FROM (
    SELECT source.ctid AS place, target.{first_key} AS found,
           CASE WHEN target.{first_key} IS NOT NULL AND NOT ({differs}) THEN {hash} END AS hash
    FROM forecast_sync_stage AS source LEFT JOIN {opposite} AS target ON {same_key}
    OFFSET 0
) AS compared
