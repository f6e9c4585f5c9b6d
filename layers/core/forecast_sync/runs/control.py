"""Starts, redrives and stops runs for a person, or says why that isn't possible."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from forecast_sync.contracts.run import SyncRequest
from forecast_sync.errors import (
    BranchNotFound,
    ForecastSyncError,
    Superseded,
    error_name,
    redrive_helps,
)
from forecast_sync.resolve.git_refs import map_git_ref
from forecast_sync.text.sentences import end_sentence
from forecast_sync.text.strict_json import read_object

if TYPE_CHECKING:
    from forecast_sync.adapters.stepfunctions import Execution, Workflow


REFUSED = "Step Functions refuses; start a new run."


class RunNotFound(ForecastSyncError):
    """There is no run of this name."""


class TableNotFound(ForecastSyncError):
    """The stack syncs no table of this name."""


class RunConflict(ForecastSyncError):
    """The run's current state doesn't allow the operation."""


def start_run(
    workflow: Workflow,
    environment: str,
    request: SyncRequest,
    idempotency_key: str | None,
    require_branch: Callable[[str | None], None],
) -> str:
    """Start a run and return its name.

    Repeating a request with the same key returns the same run, even if it has ended since.
    ``require_branch(git_ref)`` raises ``BranchNotFound`` if Neon has no such branch; what else it
    raises is left for the run to find out.
    Raises ``BranchNotMapped`` and ``BranchNotFound`` before anything is started, and
    ``RunConflict`` for a key that was used with a different request.
    """
    map_git_ref(request.git_ref, environment)
    payload = request.model_dump(mode="json", exclude_unset=True)
    name = _name(idempotency_key)
    if idempotency_key is None or workflow.describe(workflow.arn_of(name)) is None:
        _refuse_missing_branch(request.git_ref, require_branch)
    if not workflow.start(name, payload):
        earlier = workflow.describe(workflow.arn_of(name))
        if earlier is None or read_object(earlier.input) != payload:
            raise RunConflict(
                f"The idempotency key started the run {name} with another request; "
                "use a new key for a new request."
            )
    return name


def _refuse_missing_branch(
    git_ref: str | None, require_branch: Callable[[str | None], None]
) -> None:
    try:
        require_branch(git_ref)
    except BranchNotFound:
        raise
    except ForecastSyncError:
        return


def redrive_run(
    workflow: Workflow, run_id: str, find_later: Callable[[str | None], str | None]
) -> Execution:
    """Redrive a run that ended badly; its execution as it was before.

    ``find_later(git_ref)`` asks the branch's database for a run that has overtaken this one; if it
    can't be reached, the redriven run finds out itself.
    Raises ``RunNotFound``, and ``RunConflict`` when the run isn't redrivable or the redrive could
    only fail.
    """
    execution = find_execution(workflow, run_id)
    failure, later = "", None
    if execution.redrivable:
        failure = error_name(workflow.failure_of(workflow.arn_of(run_id), execution))
        with suppress(ForecastSyncError):
            later = find_later(git_ref_of(execution))
    reason = why_not_redrivable(execution, failure, later)
    if not reason and workflow.redrive(workflow.arn_of(run_id)):
        return execution
    raise RunConflict(f"{run_id} can't be redriven: {reason or REFUSED}")


def stop_run(workflow: Workflow, run_id: str, cause: str) -> Execution:
    """Stop a run; its execution as it was before. Raises ``RunNotFound`` and ``RunConflict``."""
    execution = find_execution(workflow, run_id)
    if not execution.is_alive:
        raise RunConflict(f"{run_id} can't be stopped: {why_not_stoppable(execution)}")
    workflow.stop(workflow.arn_of(run_id), cause)
    return execution


def find_execution(workflow: Workflow, run_id: str) -> Execution:
    """A run's execution; raises ``RunNotFound``."""
    execution = workflow.describe(workflow.arn_of(run_id))
    if execution is None:
        raise RunNotFound(f"There is no run {run_id}; GET /syncs lists them.")
    return execution


def why_not_redrivable(execution: Execution, failure: str = "", later: str | None = None) -> str:
    """Why a redrive now couldn't work, in words; empty when it could.

    ``failure`` is the name of the error with which the run ended, ``later`` the run that has
    overtaken it since.
    """
    if execution.is_alive:
        return "it is still running."
    if execution.status == "SUCCEEDED":
        return "it has succeeded."
    if later:
        return f"{later} has written or succeeded since; start a new run."
    if failure == Superseded.__name__:
        return "a later run has taken its place; start a new run."
    if not redrive_helps(failure):
        return f"after {failure}, only a new run helps."
    if execution.redrivable:
        return ""
    return end_sentence(execution.why_not_redrivable) or REFUSED


def why_not_stoppable(execution: Execution) -> str:
    """Why a run can't be stopped now, in words; empty when it can be."""
    return "" if execution.is_alive else f"it has ended already ({execution.status})."


def git_ref_of(execution: Execution) -> str | None:
    """The git ref in an execution's input, which may be anything; None if there is none."""
    return _text_of(execution, "git_ref")


def table_of(execution: Execution) -> str | None:
    """The table in an execution's input; None if there is none, as where a stack has only one."""
    return _text_of(execution, "table")


def _text_of(execution: Execution, name: str) -> str | None:
    value = read_object(execution.input).get(name)
    return value if isinstance(value, str) else None


def _name(idempotency_key: str | None) -> str:
    """An execution name: from the key's digest, or from the time and random characters."""
    if idempotency_key is not None:
        return f"api-{hashlib.sha256(idempotency_key.encode()).hexdigest()[:20]}"
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-api-{secrets.token_hex(3)}"
