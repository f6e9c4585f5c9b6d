"""Poll Athena query: running or done; a failure is raised by its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecast_sync import clients
from forecast_sync.contracts.base import parse_payload
from forecast_sync.contracts.query import PollRequest
from forecast_sync.extract.queries import poll_query
from forecast_sync.telemetry.logging import logged

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logged
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take a PollRequest and answer with a PolledQuery."""
    request = parse_payload(PollRequest, event)
    polled = poll_query(clients.athena(), request, context.get_remaining_time_in_millis)
    return polled.model_dump(mode="json")
