"""Check branch: whether the database of a git ref's branch answers; it reads no table."""

from __future__ import annotations

from typing import Any

from forecast_sync import clients
from forecast_sync.contracts.base import parse_payload
from forecast_sync.diagnostics.inspect import BranchRequest, describe_server
from forecast_sync.telemetry.logging import logged


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a BranchRequest and answer with the server's name and version."""
    request = parse_payload(BranchRequest, event)
    return {"server": describe_server(clients.connection_of(request.git_ref))}
