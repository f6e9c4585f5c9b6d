-- Puts the schema of the status table first: IF NOT EXISTS looks only into the schema that it would
-- create in, and a second status table would hide the first. May run twice: it lasts until the
-- transaction ends.
SELECT set_config('search_path', quote_ident(nspname) || ', ' || current_setting('search_path'), true)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE pg_class.oid = to_regclass('forecast_sync_status')
