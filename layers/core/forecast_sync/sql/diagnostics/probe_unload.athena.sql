-- The probe's line as the extract writes lines. May run twice: each probe has a prefix of its own.
UNLOAD (
SELECT line, 'row' AS kind FROM (
{probe}
))
TO {prefix}
WITH (format = 'TEXTFILE', compression = 'GZIP', partitioned_by = ARRAY['kind'])
