"""Resolve branch: a git ref becomes an environment and a Neon branch."""
