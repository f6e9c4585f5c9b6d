"""Start sync: one run for the uploads that the queue has collected, or one for each table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecast_sync import clients, deployed_tables
from forecast_sync.contracts.events import RegularStart, StartedRun, StartedRuns, UploadMessages
from forecast_sync.runs.uploads import route, start_for_tables, start_for_uploads
from forecast_sync.task import task
from forecast_sync.telemetry.metrics import measure_outside

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take a batch of the queue's messages or, where there are several tables, the schedule."""
    if event.get("trigger") == "schedule":
        return start_regular({**event, "call_id": context.aws_request_id}, context)
    return start_for_messages(event, context)


@task(UploadMessages)
def start_for_messages(messages: UploadMessages) -> StartedRun | StartedRuns:
    """Return the name of the run, or of each table's."""
    if not deployed_tables.settings().has_several_tables:
        message_ids = [message.message_id for message in messages.records]
        return StartedRun(run_id=start_for_uploads(clients.workflow(), message_ids))
    routed = route(messages.records, deployed_tables.folders())
    if routed.outside:
        measure_outside(len(routed.outside))
    run_ids = start_for_tables(clients.workflow(), "s3", routed.message_ids)
    return StartedRuns(run_ids=tuple(run_ids), outside=len(routed.outside))


@task(RegularStart)
def start_regular(request: RegularStart) -> StartedRuns:
    """Return the names of the runs; Lambda repeats a call that fails under the same id."""
    calls = {name: [request.call_id] for name in deployed_tables.settings().table_names}
    return StartedRuns(run_ids=tuple(start_for_tables(clients.workflow(), "schedule", calls)))
