"""Forecast Data Sync: Parquet forecasts from a data lake into Postgres, every row once."""
