-- What a transaction begins with, so that no setting of a server, database or role, and none that
-- another client of a pooler left behind, changes what is written or read. The schemas are the
-- role's own, then public; pg_catalog isn't named, so it comes first. May run twice: it lasts until
-- the transaction ends.
SET LOCAL client_encoding = 'UTF8';
SET LOCAL standard_conforming_strings = on;
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, YMD';
SET LOCAL IntervalStyle = 'postgres';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1;
SET LOCAL array_nulls = on;
SET LOCAL transform_null_equals = off;
SET LOCAL quote_all_identifiers = off;
SET LOCAL search_path TO DEFAULT;
SELECT pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', (
    SELECT pg_catalog.string_agg(pg_catalog.quote_ident(name), ', ' ORDER BY place)
    FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS path (name, place)
    WHERE name OPERATOR(pg_catalog.<>) 'pg_catalog'
), 'public'), true);
