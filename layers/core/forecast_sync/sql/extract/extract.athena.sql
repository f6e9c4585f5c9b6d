-- One column of text, which Athena's writer passes through: rows and rejects as COPY-text lines.
-- Partitioned by the key's first column, so that pages touch separate parts of the target's indexes.
-- May run twice: each attempt writes to a prefix of its own.
UNLOAD (
{sources}
SELECT line, 'row' AS kind, {part} AS part FROM ranked WHERE newest_first = 1
UNION ALL
SELECT {reject_line} AS line, 'reject' AS kind, 0 AS part
FROM in_window WHERE reject_reason IS NOT NULL
)
TO {prefix}
WITH (format = 'TEXTFILE', compression = 'GZIP', partitioned_by = ARRAY['kind', 'part'])
