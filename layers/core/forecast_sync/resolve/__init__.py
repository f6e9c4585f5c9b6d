"""Resolve branch: the execution input becomes a run of an environment and a Neon branch."""
