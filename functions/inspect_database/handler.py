"""Inspect database: answers what an operator asks of a branch's database, changing nothing."""

from __future__ import annotations

from typing import Any

from forecast_sync import wiring
from forecast_sync.inspecting import InspectRequest, inspect
from forecast_sync.logs import logged_without_answer
from forecast_sync.payloads import parse_payload


@logged_without_answer
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take an InspectRequest and answer with what was asked for."""
    request = parse_payload(InspectRequest, event)
    connection = wiring.connection_of(request.git_ref)
    return inspect(connection, wiring.storage().stream, wiring.table(), request)
