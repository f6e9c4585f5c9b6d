-- Creates the status table, the queue for the lease, the ledger, the file ledger, the deletions, the rejects
-- and the published states. May run twice: every statement says IF NOT EXISTS, and the caller holds an advisory lock, without
-- which concurrent sessions fail.
CREATE TABLE IF NOT EXISTS forecast_sync_status (
    id SERIAL PRIMARY KEY,
    sync_type VARCHAR(50) NOT NULL,
    last_sync_timestamp TIMESTAMP NOT NULL,
    last_sync_date DATE,
    records_synced INTEGER,
    status VARCHAR(20),
    error_message TEXT,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
ALTER TABLE forecast_sync_status
    ADD COLUMN IF NOT EXISTS run_id TEXT,
    ADD COLUMN IF NOT EXISTS execution_arn TEXT,
    ADD COLUMN IF NOT EXISTS source TEXT,
    ADD COLUMN IF NOT EXISTS git_ref TEXT,
    ADD COLUMN IF NOT EXISTS neon_branch TEXT,
    ADD COLUMN IF NOT EXISTS neon_branch_id TEXT,
    ADD COLUMN IF NOT EXISTS trigger TEXT,
    ADD COLUMN IF NOT EXISTS dry_run BOOLEAN,
    ADD COLUMN IF NOT EXISTS window_low TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS window_high TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS window_rows BIGINT,
    ADD COLUMN IF NOT EXISTS rejected BIGINT,
    ADD COLUMN IF NOT EXISTS candidates BIGINT,
    ADD COLUMN IF NOT EXISTS superseded BIGINT,
    ADD COLUMN IF NOT EXISTS good BIGINT,
    ADD COLUMN IF NOT EXISTS inserted BIGINT,
    ADD COLUMN IF NOT EXISTS updated BIGINT,
    ADD COLUMN IF NOT EXISTS unchanged BIGINT,
    ADD COLUMN IF NOT EXISTS warnings JSONB,
    ADD COLUMN IF NOT EXISTS finished_at TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS rerun_requested BOOLEAN,
    ADD COLUMN IF NOT EXISTS redrive_count INTEGER,
    ADD COLUMN IF NOT EXISTS date_from DATE,
    ADD COLUMN IF NOT EXISTS date_to DATE,
    ADD COLUMN IF NOT EXISTS definition TEXT,
    ADD COLUMN IF NOT EXISTS window_reason TEXT,
    ADD COLUMN IF NOT EXISTS target JSONB,
    ADD COLUMN IF NOT EXISTS table_name TEXT,
    ADD COLUMN IF NOT EXISTS generation INTEGER,
    ADD COLUMN IF NOT EXISTS decided_at TIMESTAMPTZ,
    ADD COLUMN IF NOT EXISTS deleted BIGINT,
    ADD COLUMN IF NOT EXISTS deletes_deferred BIGINT,
    ADD COLUMN IF NOT EXISTS deletions JSONB;
CREATE UNIQUE INDEX IF NOT EXISTS forecast_sync_status_run
    ON forecast_sync_status (run_id) WHERE run_id IS NOT NULL;
-- One run of a table holds its lease; an older version has one for the database.
DROP INDEX IF EXISTS forecast_sync_status_lease;
CREATE UNIQUE INDEX IF NOT EXISTS forecast_sync_status_lease_of_table
    ON forecast_sync_status ((coalesce(table_name, '')))
    WHERE status = 'running' AND run_id IS NOT NULL;

CREATE TABLE IF NOT EXISTS forecast_sync_waiting (
    run_id TEXT PRIMARY KEY,
    execution_arn TEXT NOT NULL,
    neon_branch_id TEXT,
    source TEXT NOT NULL,
    table_name TEXT NOT NULL,
    rerun_requested BOOLEAN NOT NULL DEFAULT false,
    queued_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    seen_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE IF NOT EXISTS forecast_sync_batch (
    query_execution_id TEXT NOT NULL,
    page INTEGER NOT NULL,
    first_row BIGINT NOT NULL,
    last_row BIGINT NOT NULL,
    run_id TEXT NOT NULL,
    inserted BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    unchanged BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    checksum NUMERIC(38, 0) NOT NULL,
    committed_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (query_execution_id, page, first_row)
);
ALTER TABLE forecast_sync_batch
    ADD COLUMN IF NOT EXISTS definition TEXT,
    ADD COLUMN IF NOT EXISTS deleted BIGINT;
CREATE INDEX IF NOT EXISTS forecast_sync_batch_run ON forecast_sync_batch (run_id);

-- An object of the lake by table, lake and key, and what became of it. 0001-01-01 to 9999-12-31 are
-- dates that nobody knows; without dates it has no row with one.
CREATE TABLE IF NOT EXISTS forecast_sync_file (
    table_name TEXT NOT NULL,
    lake TEXT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    etag TEXT NOT NULL,
    modified TIMESTAMPTZ NOT NULL,
    storage_class TEXT,
    size BIGINT NOT NULL,
    row_count BIGINT,
    first_date DATE,
    last_date DATE,
    reader INTEGER,
    definition TEXT,
    state TEXT NOT NULL,
    reason TEXT,
    -- The business dates of versions that were in a run's window and are replaced or gone.
    withdrawn_from DATE,
    withdrawn_to DATE,
    -- The survey whose window the object is in, and the run that took it in.
    survey_id TEXT,
    run_id TEXT,
    generation INTEGER,
    first_seen_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    changed_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    taken_in_at TIMESTAMPTZ,
    accepted_at TIMESTAMPTZ,
    accepted_by TEXT,
    retried_at TIMESTAMPTZ,
    retried_by TEXT,
    PRIMARY KEY (table_name, lake, key)
);
-- What isn't as it should be is little, and is looked for by every run.
CREATE INDEX IF NOT EXISTS forecast_sync_file_open ON forecast_sync_file (table_name, lake, key)
    WHERE state NOT IN ('loaded', 'gone') OR withdrawn_from IS NOT NULL;
CREATE INDEX IF NOT EXISTS forecast_sync_file_newest ON forecast_sync_file (table_name, lake, modified)
    WHERE state = 'loaded';

-- The rows that a query's results say should leave the target.
CREATE TABLE IF NOT EXISTS forecast_sync_deletion (
    query_execution_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    step INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    business_date DATE NOT NULL,
    row_key JSONB NOT NULL,
    PRIMARY KEY (query_execution_id, number)
);
-- How many they are by business date. Those that wait are looked for again by the next run.
CREATE TABLE IF NOT EXISTS forecast_sync_deletion_date (
    table_name TEXT NOT NULL,
    lake TEXT NOT NULL,
    survey_id TEXT NOT NULL,
    query_execution_id TEXT NOT NULL,
    step INTEGER NOT NULL,
    business_date DATE NOT NULL,
    row_count BIGINT NOT NULL,
    waits BOOLEAN NOT NULL DEFAULT false,
    found_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (table_name, lake, query_execution_id, step, business_date)
);

CREATE TABLE IF NOT EXISTS forecast_sync_rejects (
    content_hash TEXT PRIMARY KEY,
    run_id TEXT NOT NULL,
    last_run_id TEXT NOT NULL,
    resolved_run_id TEXT,
    source_file TEXT NOT NULL,
    reason TEXT NOT NULL,
    row_json JSON NOT NULL,
    rejected_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE forecast_sync_rejects ADD COLUMN IF NOT EXISTS table_name TEXT;

CREATE TABLE IF NOT EXISTS forecast_sync_announced (
    neon_branch TEXT NOT NULL,
    topic TEXT NOT NULL,
    state TEXT NOT NULL,
    run_id TEXT,
    announced_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (neon_branch, topic)
);
