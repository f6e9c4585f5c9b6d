-- A few staged rejects of each reason. A very large row is left out. Only reads.
SELECT reason, source_file, row_text FROM (
    SELECT reason, source_file,
           CASE WHEN octet_length(row_json::text) <= %(row_bytes)s THEN row_json::text END AS row_text,
           row_number() OVER (PARTITION BY reason ORDER BY source_file, ctid) AS place
    FROM forecast_sync_stage
) AS staged
WHERE place <= %(examples)s
ORDER BY reason, place
