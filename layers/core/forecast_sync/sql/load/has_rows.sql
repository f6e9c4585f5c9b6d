-- Whether the target has a row: a large batch needn't be compared with an empty target. Only reads.
SELECT EXISTS (SELECT FROM {target})
