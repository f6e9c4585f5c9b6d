-- The probe's line and hash as the profile sums them. Only reads.
SELECT line, {line_hash} AS line_hash FROM (
{probe}
)
