"""Notify: tells the topic how a run ended, or, on a schedule, that a branch has become stale."""

from __future__ import annotations

from typing import Any

from forecast_sync import wiring
from forecast_sync.announcing import announce_result, check_freshness
from forecast_sync.contracts import NotifyRequest
from forecast_sync.logs import logged
from forecast_sync.payloads import parse_payload


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a NotifyRequest, or the schedule's event; answer with what was told."""
    workflow, topic, settings = wiring.workflow(), wiring.topic(), wiring.settings()
    if event.get("check") == "freshness":
        is_news = check_freshness(workflow, settings, wiring.connection_of, topic)
        return {"told": ["stale"] if is_news else []}
    result = parse_payload(NotifyRequest, event).result
    connection = wiring.connection_of(result.git_ref, result.run_id)
    return {"told": announce_result(workflow, connection, topic, settings, result)}
