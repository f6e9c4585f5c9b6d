"""Notify: tells the topic how a run ended, or, on a schedule, that a branch has become stale."""

from __future__ import annotations

from typing import Any

from forecast_sync import clients
from forecast_sync.contracts.base import parse_payload
from forecast_sync.contracts.result import NotifyRequest
from forecast_sync.notify.notifier import check_freshness, notify_result
from forecast_sync.telemetry.logging import logged


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a NotifyRequest, or the schedule's event; answer with what was told."""
    workflow, topic, settings = clients.workflow(), clients.topic(), clients.settings()
    if event.get("check") == "freshness":
        is_news = check_freshness(workflow, settings, clients.connection_of, topic)
        return {"told": ["stale"] if is_news else []}
    result = parse_payload(NotifyRequest, event).result
    connection = clients.connection_of(result.git_ref, result.run_id)
    return {"told": notify_result(workflow, connection, topic, settings, result)}
