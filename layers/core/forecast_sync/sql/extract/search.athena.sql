-- Whether the listed objects can be read: computes for each row all that a run's queries do. Only reads.
{sources}
SELECT count(*) AS rows, max(length(line)) AS longest_line, max(length(reject_line)) AS longest_reject,
  sum(CASE WHEN is_touched THEN newest_first END) AS places{counted_warnings}
FROM ranked
