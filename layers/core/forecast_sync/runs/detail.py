"""Describing: one run as its execution and the database of its branch know it, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from forecast_sync import errors, links
from forecast_sync.adapters.postgres import Connection
from forecast_sync.adapters.stepfunctions import Execution
from forecast_sync.errors import ForecastSyncError
from forecast_sync.runs import control, history, queries
from forecast_sync.text.strict_json import read_object

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef


class Workflow(control.Workflow, history.PageCounter, Protocol):
    """What describing needs of Step Functions."""

    def newest_events(self, execution_arn: str) -> Sequence[HistoryEventTypeDef]:
        """The last events, newest first."""
        ...

    def failure_of(self, execution_arn: str, execution: Execution) -> str:
        """Why it failed, in one line."""
        ...


def describe_sync(
    workflow: Workflow,
    connect: Callable[[str | None], Connection],
    run_id: str,
    *,
    git_ref: str | None = None,
    runbook: str,
) -> dict[str, Any]:
    """Everything about a run, in the shape of the API's ``SyncDetail``.

    A database that can't be asked leaves the counts out and says why in ``warning``. Raises
    ``RunNotFound``.
    """
    execution = control.find_execution(workflow, run_id)
    execution_arn = workflow.arn_of(run_id)
    events = workflow.newest_events(execution_arn)
    pages = history.count_pages(workflow, execution_arn, events)
    asked = _input(execution)
    failure = _failure(workflow, execution_arn, execution)
    return {
        "run_id": run_id,
        "execution_arn": execution_arn,
        "execution_status": execution.status,
        "git_ref": asked.get("git_ref"),
        "sync_type": asked.get("sync_type", "incremental"),
        "started_at": execution.started_at,
        "stopped_at": execution.stopped_at,
        "redrive_count": execution.redrive_count,
        "state": history.current_state(events),
        "states": [state._asdict() for state in history.visited_states(events)],
        "pages": pages._asdict() if pages else None,
        "error": failure,
        "refused": {
            "redrive": control.why_not_redrivable(execution) or None,
            "stop": control.why_not_stoppable(execution) or None,
        },
        "links": links_of(execution_arn, failure["name"] if failure else "", runbook),
        **_from_database(connect, git_ref or asked.get("git_ref"), run_id),
    }


def links_of(execution_arn: str, error: str, runbook: str) -> dict[str, str]:
    """Where to read on about a run."""
    return {
        "console": links.console_url(execution_arn),
        "runbook": links.runbook_url(runbook, error) if error else runbook,
    }


def _from_database(
    connect: Callable[[str | None], Connection], git_ref: str | None, run_id: str
) -> dict[str, Any]:
    nothing: dict[str, Any] = {"status": None, "pages_begun": 0, "counts": None, "warning": None}
    nothing["rows"] = dict.fromkeys(queries.OUTCOMES, 0)
    try:
        found = queries.describe_run(connect(git_ref), run_id)
    except ForecastSyncError as error:
        return {**nothing, "warning": f"{type(error).__name__}: {error}"}
    return {**nothing, **{key: found[key] for key in nothing if key in found}} if found else nothing


def _failure(workflow: Workflow, execution_arn: str, execution: Execution) -> dict[str, str] | None:
    if not execution.ended_badly:
        return None
    message = workflow.failure_of(execution_arn, execution)
    name = errors.error_name(message)
    return {"name": name, "message": message, "meaning": errors.meaning_of(name)}


def _input(execution: Execution) -> dict[str, Any]:
    """The execution's input, of which only what fits is told: it may be anything."""
    asked = read_object(execution.input)
    fits = {
        "git_ref": isinstance(asked.get("git_ref"), str),
        "sync_type": asked.get("sync_type") in ("incremental", "full"),
    }
    return {key: asked[key] for key, does in fits.items() if does}
