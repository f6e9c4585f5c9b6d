"""Dry runs and Report changes: what a run would change in the target, without changing it."""
