"""One run in detail: what its execution and its branch's database know of it, put together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from forecast_sync import links
from forecast_sync.adapters.postgres import Connection
from forecast_sync.adapters.stepfunctions import current_state
from forecast_sync.errors import ForecastSyncError, error_name, meaning_of
from forecast_sync.runs import control, history, queries
from forecast_sync.runs.model import OUTCOMES, Actions, Failure, Links, Rows, SyncDetail
from forecast_sync.runs.outcome import coalesced_into, find_wait, outcome_of
from forecast_sync.text.strict_json import read_object

if TYPE_CHECKING:
    from forecast_sync.adapters.stepfunctions import Execution, Workflow


def describe_sync(
    workflow: Workflow,
    connect: Callable[[str | None], Connection],
    run_id: str,
    *,
    git_ref: str | None = None,
    runbook: str,
) -> SyncDetail:
    """Everything about a run.

    When the database can't be reached, ``warning`` says why and the counts are missing. Raises
    ``RunNotFound``.
    """
    execution = control.find_execution(workflow, run_id)
    execution_arn = workflow.arn_of(run_id)
    events = workflow.newest_events(execution_arn)
    known_input = _known_input(execution)
    failure = _failure(workflow, execution_arn, execution)
    branch = git_ref or known_input.get("git_ref")
    state = current_state(events)
    began_at = execution.began_at if execution.is_alive and state == history.SURVEYING else None
    recorded, later, surveyed, warning = _find_recorded(connect, branch, run_id, began_at)
    started = history.find_run(events) or {}
    window = history.find_window(events) or {}
    result = read_object(execution.output)
    message = failure.message if failure else None
    return SyncDetail(
        run_id=run_id,
        status=recorded.status if recorded else None,
        execution_arn=execution_arn,
        execution_status=execution.status,
        outcome=outcome_of(execution.status, execution.output, message),
        coalesced_into=coalesced_into(execution.output),
        waits=find_wait(events) if execution.is_alive else None,
        table=result.get("table") or started.get("table"),
        trigger=known_input.get("trigger", "manual"),
        git_ref=known_input.get("git_ref"),
        sync_type=known_input.get("sync_type", "incremental"),
        started_at=datetime.fromisoformat(execution.started_at),
        stopped_at=datetime.fromisoformat(execution.stopped_at) if execution.stopped_at else None,
        redrive_count=execution.redrive_count,
        redriven_at=datetime.fromisoformat(execution.redriven_at)
        if execution.redriven_at
        else None,
        state=state,
        states=history.visited_states(events),
        pages=history.count_pages(workflow, execution_arn, events),
        pages_begun=recorded.pages_begun if recorded else 0,
        rows=recorded.rows if recorded else Rows(**dict.fromkeys(OUTCOMES, 0)),
        counts=recorded.counts if recorded else None,
        definition=recorded.definition if recorded else window.get("definition"),
        window_reason=recorded.window_reason if recorded else window.get("reason"),
        error=failure,
        files=history.find_files(events, result),
        files_surveyed=surveyed,
        deletes_deferred=result.get("deletes_deferred"),
        deletes_deferred_reason=result.get("deletes_deferred_reason"),
        report=result.get("report"),
        warning=warning,
        refused=Actions(
            redrive=control.why_not_redrivable(execution, failure.name if failure else "", later)
            or None,
            stop=control.why_not_stoppable(execution) or None,
        ),
        links=links_of(execution_arn, failure.name if failure else "", runbook),
    )


def links_of(execution_arn: str, error: str, runbook: str) -> Links:
    """Where to read more about a run, and about its error if it has one."""
    return Links(
        console=links.console_link(execution_arn),
        runbook=links.runbook_url(runbook, error) if error else runbook,
    )


def _find_recorded(
    connect: Callable[[str | None], Connection],
    git_ref: str | None,
    run_id: str,
    surveying_since: str | None,
) -> tuple[queries.RecordedRun | None, str | None, int | None, str | None]:
    """What the database knows of the run: its record, which has overtaken it, its survey.

    Or, last, why it can't be reached.
    """
    try:
        connection = connect(git_ref)
        recorded = queries.find_run(connection, run_id)
        later = queries.find_later_run(connection, run_id)
        surveyed = (
            queries.count_surveyed(connection, surveying_since, run_id) if surveying_since else None
        )
    except ForecastSyncError as error:
        return None, None, None, f"{type(error).__name__}: {error}"
    return recorded, later, surveyed, None


def _failure(workflow: Workflow, execution_arn: str, execution: Execution) -> Failure | None:
    if not execution.ended_badly:
        return None
    message = workflow.failure_of(execution_arn, execution)
    name = error_name(message)
    return Failure(name=name, message=message, meaning=meaning_of(name))


def _known_input(execution: Execution) -> dict[str, Any]:
    """The keys of the execution's input that are valid; the input may be anything."""
    document = read_object(execution.input)
    is_valid = {
        "git_ref": isinstance(document.get("git_ref"), str),
        "sync_type": document.get("sync_type") in ("incremental", "full"),
        "trigger": isinstance(document.get("trigger"), str),
    }
    return {key: document[key] for key, valid in is_valid.items() if valid}
