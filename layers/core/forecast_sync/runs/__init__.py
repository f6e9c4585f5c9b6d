"""Runs as people see them: listed, followed, started, stopped, and how fresh the rows are."""
