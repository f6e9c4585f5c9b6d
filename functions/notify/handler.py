"""Notify: publishes how a run ended or, on a schedule, that a branch has become stale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecast_sync import clients, deployed_tables
from forecast_sync.contracts.events import FreshnessCheck
from forecast_sync.contracts.result import NotifyRequest
from forecast_sync.notify import notifier
from forecast_sync.task import task

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take the run's result from the workflow, or the freshness check from its schedule."""
    if event.get("check") == "freshness":
        return check_freshness(event, context)
    return publish_result(event, context)


@task(NotifyRequest)
def publish_result(request: NotifyRequest) -> dict[str, Any]:
    """Publish what a run's result changes, and return the kinds of messages that were sent."""
    result = request.result
    kinds = notifier.notify_result(
        workflow=clients.workflow(),
        connection=clients.connection_of(result.git_ref, result.run_id),
        topic=clients.topic(),
        settings=deployed_tables.settings_named(result.table),
        result=result,
    )
    return {"published": kinds}


@task(FreshnessCheck)
def check_freshness(_check: FreshnessCheck) -> dict[str, Any]:
    """Publish each table that has become stale on the environment's branch; what was sent."""
    names = deployed_tables.settings().table_names
    kinds = notifier.check_freshness(
        workflow=clients.workflow(),
        tables=[deployed_tables.settings_named(name) for name in names],
        connect=clients.connection_of,
        topic=clients.topic(),
    )
    return {"published": kinds}
