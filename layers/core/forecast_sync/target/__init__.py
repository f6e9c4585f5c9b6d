"""The table in Postgres: its schema, and its columns as expressions of SQL."""
