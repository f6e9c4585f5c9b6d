-- Lets the planner know how much is staged. May run twice.
ANALYZE forecast_sync_stage
