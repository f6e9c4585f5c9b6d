"""Failing: puts an execution that ended badly on record, from outside of the execution."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from forecast_sync.adapters.postgres import Connection
from forecast_sync.config import Settings
from forecast_sync.contracts.base import parse_payload
from forecast_sync.contracts.run import ExecutionIdentity
from forecast_sync.errors import ForecastSyncError, InvalidInput, TransientError
from forecast_sync.notify import outages
from forecast_sync.notify.notifier import notify_failure, notify_unresolved
from forecast_sync.record.outcome import record_failure
from forecast_sync.resolve.run import BranchFinder, ResolveRequest, resolve_run
from forecast_sync.runs.uploads import Starter

if TYPE_CHECKING:
    from forecast_sync.adapters.sns import Topic
    from forecast_sync.adapters.stepfunctions import Execution, Workflow


def record_failed_execution(
    detail: dict[str, Any],
    workflow: Workflow,
    settings: Settings,
    find_neon: Callable[[], BranchFinder | None],
    connect: Callable[[str | None], Connection],
    topic: Topic,
    told: set[tuple[str, int]],
) -> dict[str, Any]:
    """Record and announce what a status-change event tells, unless it is outdated.

    ``detail`` is the event's; an execution that was redriven since, or has succeeded, is left
    alone. A run whose branch can't be resolved has no database: it is announced only. ``told``
    keeps the failures that were announced: Lambda hands over an event again when this raises, as it
    does while Neon or the database can't be asked.
    """
    execution_arn, name = detail["executionArn"], detail["name"]
    execution = workflow.describe(execution_arn)
    if execution is None or not execution.ended_badly:
        return {"recorded": False}
    message = workflow.failure_of(execution_arn, execution)
    failure = (execution_arn, execution.redrive_count)

    def is_known() -> bool:
        return failure in told or outages.is_known(
            workflow, settings, execution_arn, execution, message
        )

    identity = ExecutionIdentity.model_validate(
        {"run_id": name, "execution_arn": execution_arn, "started_at": execution.started_at}
    )
    try:
        asked = {"input": _read_input(execution), "execution": identity}
        run = resolve_run(find_neon(), settings, parse_payload(ResolveRequest, asked))
    except ForecastSyncError as error:
        if not is_known():
            notify_unresolved(topic, settings, identity, message)
            told.add(failure)
        if isinstance(error, TransientError):
            raise
        return {"recorded": False}
    connection = None
    try:
        connection = connect(run.neon_branch_id)
        record_failure(connection, workflow, settings, run, message, execution.redrive_count)
    finally:
        if notify_failure(connection, topic, settings, run, message, is_known):
            told.add(failure)
    return {"recorded": True}


def _read_input(execution: Execution) -> Any:
    try:
        return json.loads(execution.input)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The execution's input can't be read: {error}.") from None
