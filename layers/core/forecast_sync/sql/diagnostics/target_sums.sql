-- The target's rows by business date. Only reads.
SELECT {date}::text, count(*), sum({hash})
FROM {target} AS target
WHERE (%(date_from)s::date IS NULL OR {date} >= %(date_from)s)
  AND (%(date_to)s::date IS NULL OR {date} <= %(date_to)s)
GROUP BY {date}
