"""Plan pages: the result manifest becomes the pages file."""

from __future__ import annotations

from typing import Any

from forecast_sync import wiring
from forecast_sync.contracts import PlanRequest
from forecast_sync.logs import logged
from forecast_sync.payloads import parse_payload
from forecast_sync.planning import plan_pages


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a PlanRequest and answer with a Plan."""
    request = parse_payload(PlanRequest, event)
    places = (wiring.athena(), wiring.storage())
    plan = plan_pages(*places, wiring.table(), wiring.settings(), request)
    return plan.model_dump(mode="json")
