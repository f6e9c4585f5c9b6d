"""Notify: tells the topic how a run ended."""

from __future__ import annotations

from typing import Any

from forecast_sync import wiring
from forecast_sync.announcing import announce
from forecast_sync.contracts import NotifyRequest, parse_payload
from forecast_sync.logs import logged


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a NotifyRequest; the answer is empty."""
    announce(wiring.topic(), parse_payload(NotifyRequest, event).result)
    return {}
