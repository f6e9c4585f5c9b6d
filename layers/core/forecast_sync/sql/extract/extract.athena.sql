-- One column of text, which Athena's writer passes through: rows and rejects as COPY-text lines.
-- Partitioned by the key's first column, so that pages touch separate parts of the target's indexes.
-- May run twice: each attempt writes to a prefix of its own.
UNLOAD (
{sources}
SELECT CASE WHEN row__kind = 'row' THEN line ELSE reject_line END AS line, row__kind AS kind,
  CASE WHEN row__kind = 'row' THEN {part} ELSE 0 END AS part
FROM ranked
WHERE row__kind = 'reject' OR (row__kind = 'row' AND is_touched AND newest_first = 1)
)
TO {prefix}
WITH (format = 'TEXTFILE', compression = 'GZIP', partitioned_by = ARRAY['kind', 'part'])
