-- Creates a table with the types of the table file. May run twice: it is dropped at commit.
CREATE TEMP TABLE forecast_sync_probe ({columns}) ON COMMIT DROP
