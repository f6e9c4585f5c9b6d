"""Outages: what Step Functions knows of a branch's runs when its database couldn't be told.

What was announced stands in the branch's database. While that, or Neon's API, is out of reach, the
run that ended before says whether a failure is news, and whether a success is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Protocol

from pydantic import ValidationError

from forecast_sync import errors
from forecast_sync.adapters.stepfunctions import Execution
from forecast_sync.config import Settings
from forecast_sync.contracts.result import RunResult
from forecast_sync.contracts.run import SyncRequest
from forecast_sync.resolve.git_refs import map_git_ref
from forecast_sync.text.strict_json import read_object

RECENT = 20
OUT_OF_REACH = frozenset(
    kind.__name__
    for kind in (
        errors.BranchNotFound,
        errors.DatabaseRefused,
        errors.DatabaseUnavailable,
        errors.NeonRefused,
        errors.NeonUnavailable,
    )
)


class Workflow(Protocol):
    """What is asked of Step Functions."""

    def newest_ended(self, limit: int) -> Iterable[tuple[str, Execution]]:
        """ARN and state of the executions that ended last, the newest first."""
        ...

    def failure_of(self, execution_arn: str, execution: Execution) -> str:
        """Why it failed, in one line."""
        ...


def is_known(
    workflow: Workflow, settings: Settings, execution_arn: str, execution: Execution, message: str
) -> bool:
    """Whether the branch's run that ended before has failed in the same way.

    Runs that end at the same time are told apart by their names, or each would be the other's
    excuse to say nothing.
    """
    last = (execution.stopped_at or "", execution_arn)
    before = (
        (arn, found)
        for arn, found in workflow.newest_ended(RECENT)
        if (found.stopped_at or "", arn) < last
    )
    earlier = _last_verdict(before, execution.input, settings)
    if earlier is None or earlier[1].status == "SUCCEEDED":
        return False
    return _way(workflow.failure_of(*earlier)) == _way(message)


def ends_with(workflow: Workflow, settings: Settings, result: RunResult) -> bool:
    """Whether a run's success ends an outage: the one before it couldn't reach the database."""
    asked = json.dumps({"git_ref": result.git_ref})
    earlier = _last_verdict(workflow.newest_ended(RECENT), asked, settings)
    return earlier is not None and earlier[1].error in OUT_OF_REACH


def _last_verdict(
    ended: Iterable[tuple[str, Execution]], asked: str, settings: Settings
) -> tuple[str, Execution] | None:
    """The newest of the executions that says how the branch of the input ``asked`` is doing."""
    branch = _branch_of(asked, settings)
    return next(
        (
            (arn, execution)
            for arn, execution in ended
            if _branch_of(execution.input, settings) == branch and _is_verdict(execution)
        ),
        None,
    )


def _branch_of(asked: str, settings: Settings) -> str:
    """The Neon branch of an execution's input; one that is refused stands for itself."""
    try:
        git_ref = SyncRequest.parse(json.loads(asked)).git_ref
        return map_git_ref(git_ref, settings.environment).neon_branch
    except (errors.ForecastSyncError, ValueError, RecursionError):
        return asked


def _is_verdict(execution: Execution) -> bool:
    """A dry run, a coalesced run and one that was overtaken say nothing about the branch."""
    if execution.status != "SUCCEEDED":
        is_dry = read_object(execution.input).get("dry_run") is True
        return not is_dry and execution.error != errors.Superseded.__name__
    try:
        return RunResult.model_validate_json(execution.output).status == "succeeded"
    except ValidationError:
        return False


def _way(message: str) -> str:
    """How a run has failed: an outage has several faces."""
    error = errors.error_name(message)
    return "out of reach" if error in OUT_OF_REACH else error
