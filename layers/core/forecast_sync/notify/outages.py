"""Whether a failure or a recovery is news while a branch's database can't be reached.

The last published state is in the branch's database. While the database or Neon's API is out of
reach, the branch's previous run in Step Functions decides instead.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import ValidationError

from forecast_sync import errors
from forecast_sync.config import Settings
from forecast_sync.contracts.result import RunResult
from forecast_sync.contracts.run import SyncRequest
from forecast_sync.resolve.git_refs import map_git_ref
from forecast_sync.text.strict_json import read_object

if TYPE_CHECKING:
    from forecast_sync.adapters.stepfunctions import Execution, Workflow

RECENT = 20
"""How many executions are looked at, for each table of the stack."""

MOST_RECENT = 100
"""How many are looked at altogether: each is a request."""

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


def is_known(
    workflow: Workflow, settings: Settings, execution_arn: str, execution: Execution, message: str
) -> bool:
    """Whether the branch's previous run failed in the same way.

    Runs that end at the same time are ordered by name; otherwise each would count as the other's
    previous run, and neither failure would be published.
    """
    this_end = (execution.stopped_at or "", execution_arn)
    before = (
        (arn, ended)
        for arn, ended in workflow.newest_ended(recent(settings))
        if (ended.stopped_at or "", arn) < this_end
    )
    previous = _last_verdict(before, execution.input, settings)
    if previous is None or previous[1].status == "SUCCEEDED":
        return False
    return _kind_of(workflow.failure_of(*previous)) == _kind_of(message)


def ends_with(workflow: Workflow, settings: Settings, result: RunResult) -> bool:
    """Whether a run's success ends an outage: the previous run couldn't reach the database."""
    execution_input = json.dumps({"git_ref": result.git_ref, "table": settings.scope})
    previous = _last_verdict(workflow.newest_ended(recent(settings)), execution_input, settings)
    return previous is not None and previous[1].error in OUT_OF_REACH


def _last_verdict(
    ended: Iterable[tuple[str, Execution]], execution_input: str, settings: Settings
) -> tuple[str, Execution] | None:
    """The newest execution that says how the branch of ``execution_input`` is doing."""
    branch = _branch_of(execution_input, settings)
    return next(
        (
            (arn, execution)
            for arn, execution in ended
            if _branch_of(execution.input, settings) == branch and _is_verdict(execution)
        ),
        None,
    )


def recent(settings: Settings) -> int:
    """How many executions to look at, among which runs of other tables don't count."""
    return min(MOST_RECENT, RECENT * len(settings.table_names))


def _branch_of(execution_input: str, settings: Settings) -> str:
    """The Neon branch of an execution's input; the input itself when it is invalid.

    For a run of one of several tables, it is the branch and the table.
    """
    try:
        request = SyncRequest.parse(json.loads(execution_input))
        branch = map_git_ref(request.git_ref, settings.environment).neon_branch
    except (errors.ForecastSyncError, ValueError, RecursionError):
        return execution_input
    return f"{branch} {request.table}" if settings.has_several_tables else branch


def _is_verdict(execution: Execution) -> bool:
    """Whether it says anything about the branch: not a dry, coalesced or superseded run."""
    if execution.status != "SUCCEEDED":
        is_dry = read_object(execution.input).get("dry_run") is True
        return not is_dry and execution.error != errors.Superseded.__name__
    try:
        return RunResult.model_validate_json(execution.output).status == "succeeded"
    except ValidationError:
        return False


def is_outage(message: str) -> bool:
    """Whether a failure says that the database or Neon's API was out of reach."""
    return errors.error_name(message) in OUT_OF_REACH


def _kind_of(message: str) -> str:
    """The error's name, or one name for all errors of an outage."""
    return "out of reach" if is_outage(message) else errors.error_name(message)
