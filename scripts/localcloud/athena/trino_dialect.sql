-- Trino's functions and text forms as macros of DuckDB; trino_dialect.py puts them into statements.
-- chr(1114096) takes the place of bytes that aren't UTF-8: parquet_files.py puts it there.
-- A macro's argument is copied to each of its mentions; list_transform([argument], lambda ...)[1]
-- mentions it once. Without that, planning the extract takes DuckDB a second instead of a quarter.

CREATE MACRO is_infinite(number) AS isinf(number);
CREATE MACRO from_base(digits, base) AS CAST('0x' || digits AS BIGINT);
CREATE MACRO to_ieee754_64(number) AS
  unhex(printf('%016x', CAST(CAST(CAST(number AS DOUBLE) AS BIT) AS BIGINT)));
-- A time with a zone is an instant, which a session in UTC shows in UTC.
CREATE MACRO at_timezone(moment, zone) AS moment;
CREATE MACRO to_iso8601(moment) AS strftime(moment, '%Y-%m-%dT%H:%M:%S.%g') || 'Z';

CREATE MACRO trino_from_utf8(bytes) AS replace(decode(bytes), chr(1114096), '�');

CREATE MACRO trino_try_concatenation(text) AS CASE WHEN strlen(text) <= 1048576 THEN text END;

-- A double as 1.5E0: as many digits as its shortest form has.
CREATE MACRO trino_significant(shown) AS greatest(1, length(rtrim(ltrim(
  replace(regexp_extract(shown, '^-?([0-9.]+)', 1), '.', ''), '0'), '0')));
CREATE MACRO trino_scientific(shown) AS
  printf('%.' || (trino_significant(shown) - 1) || 'e', CAST(shown AS DOUBLE));
CREATE MACRO trino_exponential(scientific) AS list_transform(
  [string_split(scientific, 'e')], lambda parts: regexp_replace(parts[1], '^(-?\d)$', '\1.0') || 'E'
    || CAST(CAST(parts[2] AS INTEGER) AS VARCHAR))[1];
CREATE MACRO trino_double(number) AS list_transform([number], lambda shown: CASE shown
  WHEN 'nan' THEN 'NaN' WHEN '-nan' THEN 'NaN' WHEN 'inf' THEN 'Infinity' WHEN '-inf' THEN '-Infinity'
  WHEN '0.0' THEN '0E0' WHEN '-0.0' THEN '-0E0'
  ELSE trino_exponential(trino_scientific(shown)) END)[1];

-- A date with a year of at least four digits, counted from a year 0.
CREATE MACRO trino_year(shown) AS CAST(split_part(shown, '-', 1) AS INTEGER);
CREATE MACRO trino_date(shown) AS CASE
  WHEN shown NOT LIKE '%(BC)%' THEN split_part(shown, ' ', 1)
  WHEN trino_year(shown) = 1 THEN '0000' || substr(split_part(shown, ' ', 1), 5)
  ELSE printf('-%04d', trino_year(shown) - 1) || regexp_extract(shown, '-\d\d-\d\d') END;
CREATE MACRO trino_timestamp(shown) AS
  CASE WHEN shown NOT LIKE '%(BC)%' AND trino_year(shown) > 9999 THEN '+' ELSE '' END
  || trino_date(shown) || ' ' || regexp_extract(shown, '\d\d:\d\d:\d\d') || '.'
  || rpad(regexp_extract(shown, '\.(\d+)$', 1), 3, '0');

-- Planning takes most of a small query's time, and less where a type has a form of its own here. An
-- argument of another type would be converted to that of a similar form: so there is none for
-- doubles, whose form decimals would take.
CREATE MACRO trino_text
  (value INTEGER) AS CAST(value AS VARCHAR),
  (value BIGINT) AS CAST(value AS VARCHAR),
  (value HUGEINT) AS CAST(value AS VARCHAR),
  (value VARCHAR) AS value,
  (value DATE) AS list_transform([CAST(value AS VARCHAR)], lambda shown: trino_date(shown))[1],
  (value TIMESTAMP) AS
    list_transform([CAST(value AS VARCHAR)], lambda shown: trino_timestamp(shown))[1],
  (value) AS CASE typeof(value)
    WHEN 'DOUBLE' THEN trino_double(CAST(value AS VARCHAR))
    -- A decimal without digits before the point gets a zero there.
    ELSE regexp_replace(CAST(value AS VARCHAR), '^(-?)\.', '\10.') END;

-- A string of JSON as Jackson writes it.
CREATE MACRO trino_json_character(one) AS CASE
  WHEN one = '"' THEN '\"' WHEN one = '\' THEN '\\'
  WHEN one = chr(8) THEN '\b' WHEN one = chr(9) THEN '\t' WHEN one = chr(10) THEN '\n'
  WHEN one = chr(12) THEN '\f' WHEN one = chr(13) THEN '\r'
  WHEN one = chr(1114096) THEN '�'
  WHEN unicode(one) < 32 THEN printf('\u%04X', unicode(one))
  WHEN unicode(one) > 65535 THEN printf('\u%04X\u%04X',
    55296 + (unicode(one) - 65536) // 1024, 56320 + (unicode(one) - 65536) % 1024)
  ELSE one END;
CREATE MACRO trino_json(value) AS list_transform([value], lambda text: CASE
  WHEN text IS NULL THEN 'null'
  WHEN NOT regexp_matches(text, '[^ !#-\[\]-\x{ffff}]') THEN '"' || text || '"'
  ELSE '"' || array_to_string(list_transform(
    regexp_extract_all(text, '(?s).'), lambda one: trino_json_character(one)), '') || '"' END)[1];
-- An object of texts, from its members' names as JSON. One mention of trino_json for all of them: each
-- would add 3 ms to the planning of the extract.
CREATE MACRO trino_json_object(names, texts) AS '{' || array_to_string(list_transform(
  list_zip(names, texts), lambda member: member[1] || trino_json(member[2])), ',') || '}';
