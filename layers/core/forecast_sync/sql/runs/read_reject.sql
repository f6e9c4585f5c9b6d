-- A part of a reject's row, as the stored JSON text. Only reads.
SELECT substr(row_json::text, %(offset)s + 1, %(characters)s) AS part,
       length(row_json::text) AS characters, octet_length(row_json::text) AS row_bytes
FROM forecast_sync_rejects WHERE content_hash = %(content_hash)s
