-- A full run looks at every object, so its window's valid rows are the candidates. Only reads.
candidates AS (
  SELECT * FROM in_window WHERE reject_reason IS NULL
)
