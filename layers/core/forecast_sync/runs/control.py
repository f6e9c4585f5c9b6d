"""Starts, redrives and stops runs for a person, or says why that isn't possible."""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from forecast_sync.contracts.run import SyncRequest
from forecast_sync.errors import ForecastSyncError
from forecast_sync.resolve.git_refs import map_git_ref
from forecast_sync.text.strict_json import read_object

if TYPE_CHECKING:
    from forecast_sync.adapters.stepfunctions import Execution, Workflow


class RunNotFound(ForecastSyncError):
    """There is no run of this name."""


class RunConflict(ForecastSyncError):
    """The run's current state doesn't allow the operation."""


def start_run(
    workflow: Workflow, environment: str, request: SyncRequest, idempotency_key: str | None
) -> str:
    """Start a run and return its name.

    Repeating a request with the same key returns the same run, even if it has ended since.
    Raises ``BranchNotMapped`` before anything is started, and ``RunConflict`` for a key that was
    used with a different request.
    """
    map_git_ref(request.git_ref, environment)
    payload = request.model_dump(mode="json", exclude_unset=True)
    name = _name(idempotency_key)
    if not workflow.start(name, payload):
        earlier = workflow.describe(workflow.arn_of(name))
        if earlier is None or read_object(earlier.input) != payload:
            raise RunConflict(
                f"The idempotency key started the run {name} with another request; "
                "use a new key for a new request."
            )
    return name


def redrive_run(workflow: Workflow, run_id: str) -> Execution:
    """Redrive a run that ended badly; its execution as it was before.

    Raises ``RunNotFound``, and ``RunConflict`` when it isn't redrivable.
    """
    execution = find_execution(workflow, run_id)
    if execution.redrivable and workflow.redrive(workflow.arn_of(run_id)):
        return execution
    raise RunConflict(f"{run_id} can't be redriven: {why_not_redrivable(execution)}")


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


def why_not_redrivable(execution: Execution) -> str:
    """Why a run can't be redriven now, in words; empty when it can be."""
    if execution.redrivable:
        return ""
    if execution.is_alive:
        return "it is still running."
    if execution.status == "SUCCEEDED":
        return "it has succeeded."
    return execution.why_not_redrivable or "Step Functions refuses; start a new run."


def why_not_stoppable(execution: Execution) -> str:
    """Why a run can't be stopped now, in words; empty when it can be."""
    return "" if execution.is_alive else f"it has ended already ({execution.status})."


def _name(idempotency_key: str | None) -> str:
    """An execution name: from the key's digest, or from the time and random characters."""
    if idempotency_key is not None:
        return f"api-{hashlib.sha256(idempotency_key.encode()).hexdigest()[:20]}"
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-api-{secrets.token_hex(3)}"
