"""Names: what everything that a stack has begins with, made of its two parameters."""

from __future__ import annotations

DEFAULT_PROJECT = "forecast-sync"
"""The template's default of ``ProjectName``."""


def stack_name(project: str, environment: str) -> str:
    """``PROJECT-ENVIRONMENT``: the stack and its machine; functions and queues add a word to it."""
    return f"{project}-{environment}"
