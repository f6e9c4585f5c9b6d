-- All valid rows of the keys that the window touches, wherever in the lake they are; that is what
-- makes an incremental run give what a full one would. Only reads.
touched AS (
  SELECT DISTINCT {key} FROM in_window WHERE reject_reason IS NULL
),
candidates AS (
  SELECT checked.*
  FROM checked JOIN touched ON {same_key}
  WHERE checked.reject_reason IS NULL
    AND checked.{date} >= (SELECT min({date}) FROM touched)
    AND checked.{date} <= (SELECT max({date}) FROM touched)
)
