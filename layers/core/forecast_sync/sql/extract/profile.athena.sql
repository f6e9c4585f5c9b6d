-- What the extract must add up to. The checksum is a sum, so that it doesn't depend on any order.
-- Only reads.
{sources}
SELECT count(CASE WHEN row__new THEN 1 END) AS source_rows,
  count(CASE WHEN row__new AND row__kind <> 'left out' THEN 1 END) AS window_rows,
  count(CASE WHEN {is_rejected} THEN 1 END) AS rejected,
  count(CASE WHEN row__kind = 'row' AND is_touched THEN 1 END) AS candidates,
  count(CASE WHEN {is_good} THEN 1 END) AS good,
  coalesce(sum(CASE WHEN {is_good} THEN {line_hash} END), CAST(0 AS decimal(38, 0))) AS checksum{counted_keys}{counted_warnings}
FROM ranked
