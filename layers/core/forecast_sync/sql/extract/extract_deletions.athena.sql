-- The extract of a table whose rows may leave the target: further lines are keys. Those of tombstones leave;
-- those that are kept have only rejects, and their rows stay. Read once: a reject becomes two lines by UNNEST.
-- May run twice: each attempt writes to a prefix of its own.
UNLOAD (
{sources}
SELECT CASE copies.kind WHEN 'row' THEN line WHEN 'reject' THEN reject_line ELSE key__line END AS line,
  copies.kind AS kind, CASE WHEN copies.kind = 'reject' THEN 0 ELSE {part} END AS part
FROM ranked CROSS JOIN UNNEST({kinds}) AS copies (kind)
WHERE (copies.kind = 'reject' AND row__new) OR (copies.kind = 'kept' AND key__line IS NOT NULL)
  OR (copies.kind IN ('row', 'tombstone') AND is_touched AND newest_first = 1)
)
TO {prefix}
WITH (format = 'TEXTFILE', compression = 'GZIP', partitioned_by = ARRAY['kind', 'part'])
