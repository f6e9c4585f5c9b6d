"""Verify load: what Athena counted in the lake against what was loaded into Postgres."""
