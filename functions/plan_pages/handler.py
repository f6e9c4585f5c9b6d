"""Plan pages: the result manifest becomes the pages file."""

from __future__ import annotations

from typing import Any

from forecast_sync import clients
from forecast_sync.contracts.base import parse_payload
from forecast_sync.contracts.page import PlanRequest
from forecast_sync.plan.pages import plan_pages
from forecast_sync.telemetry.logging import logged


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a PlanRequest and answer with a Plan."""
    request = parse_payload(PlanRequest, event)
    places = (clients.athena(), clients.storage())
    plan = plan_pages(*places, clients.table(), clients.settings(), request)
    return plan.model_dump(mode="json")
