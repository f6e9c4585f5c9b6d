-- Saves what has been published about a branch. May run twice: it saves the same state again.
INSERT INTO forecast_sync_announced (neon_branch, topic, state, run_id)
VALUES (%(neon_branch)s, %(topic)s, %(state)s, %(run_id)s)
ON CONFLICT (neon_branch, topic) DO UPDATE
SET state = excluded.state, run_id = excluded.run_id, announced_at = clock_timestamp()
