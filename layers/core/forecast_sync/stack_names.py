"""The names of a stack's parts: everything of it begins with its project and environment."""

from __future__ import annotations

DEFAULT_TABLE = "forecast"
DEFAULT_PROJECT = "forecast-sync"
"""The template's default of ``ProjectName``."""


def stack_name(project: str, environment: str) -> str:
    """``PROJECT-ENVIRONMENT``: the stack and its machine; functions and queues add a word to it."""
    return f"{project}-{environment}"


def execution_arn_of(state_machine_arn: str, run_id: str) -> str:
    """The ARN of a run's execution, whether there is one of this name or not."""
    return f"{state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{run_id}"
