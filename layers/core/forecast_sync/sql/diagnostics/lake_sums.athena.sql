-- The lake's good rows by business date. The checksum doesn't depend on any order. Only reads.
{sources}
SELECT {day} AS day, count(*) AS row_count, sum({line_hash}) AS checksum
FROM ranked WHERE row__kind = 'row' AND newest_first = 1
GROUP BY {day}
ORDER BY {day}
