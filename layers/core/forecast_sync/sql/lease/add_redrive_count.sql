-- Adds the column that an older version's schema lacks. May run twice: it looks first, and the caller
-- holds the lease's exclusive lock.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = 'forecast_sync_status'::regclass AND attname = 'redrive_count'
    ) THEN
        ALTER TABLE forecast_sync_status ADD COLUMN IF NOT EXISTS redrive_count INTEGER;
    END IF;
END
$$
