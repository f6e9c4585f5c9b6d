-- The lake's good rows by key. Only reads.
{sources}
SELECT {keys}, {line_hash} AS line_hash FROM ranked WHERE row__kind IN ({kinds}) AND newest_first = 1
