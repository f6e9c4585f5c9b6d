"""Record status: how a run ended, as the workflow says or, if it failed, a rule outside of it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from forecast_sync import clients, deployed_tables
from forecast_sync.contracts.events import RecordedFailure, StatusChange
from forecast_sync.contracts.result import RecordRequest, RunResult
from forecast_sync.record import outcome
from forecast_sync.record.failure import FailureRecorder
from forecast_sync.task import task

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take the request of a successful run, or the event of an execution that ended badly."""
    if event.get("source") == "aws.states":
        return record_failure(event, context)
    return record_success(event, context)


@task(RecordRequest)
def record_success(request: RecordRequest) -> RunResult:
    """Record a verified run, and return its result."""
    return outcome.record_success(
        connection=clients.connection(request.run.neon_branch_id, request.run.run_id),
        workflow=clients.workflow(),
        table=deployed_tables.table_of(request.run),
        settings=deployed_tables.settings_of(request.run),
        request=request,
    )


@task(StatusChange)
def record_failure(change: StatusChange) -> RecordedFailure:
    """Record and publish a failed execution, and return whether it was recorded."""
    return failure_recorder().record(change.detail)


@cache
def failure_recorder() -> FailureRecorder:
    """The container's recorder, which remembers what it has published."""
    return FailureRecorder(
        workflow=clients.workflow(),
        topic=clients.topic(),
        settings=deployed_tables.settings(),
        find_neon=clients.neon,
        connect=clients.connection,
        settings_named=deployed_tables.settings_named,
    )
