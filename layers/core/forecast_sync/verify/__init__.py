"""Verify load: what Athena counted against what Postgres holds."""
