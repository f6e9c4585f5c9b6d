-- What the extract must add up to. The checksum is a sum, so that it doesn't depend on any order.
-- Only reads.
{sources}
SELECT window_rows, rejected, candidates, good, checksum{warnings}
FROM (
  SELECT count(*) AS window_rows,
         count(reject_reason) AS rejected
  FROM in_window
)
CROSS JOIN (
  SELECT count(*) AS candidates,
         count(CASE WHEN newest_first = 1 THEN 1 END) AS good,
         coalesce(sum(CASE WHEN newest_first = 1 THEN {line_hash} END), CAST(0 AS decimal(38, 0)))
           AS checksum{counted_warnings}
  FROM ranked
)
