-- One column of text, which Athena's writer passes through: rows and rejects as COPY-text lines.
-- May run twice: each attempt writes to a prefix of its own.
UNLOAD (
{sources}
SELECT line, 'row' AS kind FROM ranked WHERE newest_first = 1
UNION ALL
SELECT {reject_line} AS line, 'reject' AS kind FROM in_window WHERE reject_reason IS NOT NULL
)
TO {prefix}
WITH (format = 'TEXTFILE', compression = 'GZIP', partitioned_by = ARRAY['kind'])
