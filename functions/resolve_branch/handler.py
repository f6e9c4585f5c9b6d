"""Resolve branch: the execution input becomes a run."""

from __future__ import annotations

from typing import Any

from forecast_sync import wiring
from forecast_sync.logs import logged
from forecast_sync.payloads import parse_payload
from forecast_sync.resolving import ResolveRequest, resolve_run


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a ResolveRequest and answer with a Run."""
    request = parse_payload(ResolveRequest, event)
    run = resolve_run(wiring.neon(request.execution.run_id), wiring.settings(), request)
    return run.model_dump(mode="json")
