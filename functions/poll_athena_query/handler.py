"""Poll Athena query: running or done; a failure is raised by its kind."""

from __future__ import annotations

from typing import Any

from forecast_sync import wiring
from forecast_sync.contracts import PollRequest
from forecast_sync.extraction import poll_query
from forecast_sync.logs import logged
from forecast_sync.payloads import parse_payload


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a PollRequest and answer with a PolledQuery."""
    request = parse_payload(PollRequest, event)
    return poll_query(wiring.athena(), request).model_dump(mode="json")
