"""Inspect database: answers what an operator asks of a branch's database, changing nothing."""

from __future__ import annotations

from typing import Any

from forecast_sync import clients
from forecast_sync.contracts.base import parse_payload
from forecast_sync.diagnostics.inspect import InspectRequest, inspect
from forecast_sync.telemetry.logging import logged_without_answer


@logged_without_answer
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take an InspectRequest and answer with what was asked for."""
    request = parse_payload(InspectRequest, event)
    connection = clients.connection_of(request.git_ref)
    return inspect(connection, clients.storage().stream, clients.table(), request)
