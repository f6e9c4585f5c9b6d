"""Resolve branch: the execution input becomes a run."""

from __future__ import annotations

from typing import Any

from forecast_sync import clients
from forecast_sync.contracts.base import parse_payload
from forecast_sync.resolve.run import ResolveRequest, resolve_run
from forecast_sync.telemetry.logging import logged


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a ResolveRequest and answer with a Run."""
    request = parse_payload(ResolveRequest, event)
    run = resolve_run(clients.neon(request.execution.run_id), clients.settings(), request)
    return run.model_dump(mode="json")
