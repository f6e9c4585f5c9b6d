"""The table in Postgres: its schema, how it differs from the table file, its columns in SQL."""
