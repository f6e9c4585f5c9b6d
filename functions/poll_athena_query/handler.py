"""Poll Athena query: running or done; a failure is raised by its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecast_sync import wiring
from forecast_sync.contracts import PollRequest
from forecast_sync.extraction import poll_query
from forecast_sync.logs import logged
from forecast_sync.payloads import parse_payload

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logged
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take a PollRequest and answer with a PolledQuery."""
    request = parse_payload(PollRequest, event)
    polled = poll_query(wiring.athena(), request, context.get_remaining_time_in_millis)
    return polled.model_dump(mode="json")
