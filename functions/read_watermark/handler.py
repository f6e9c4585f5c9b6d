"""Read watermark: makes the schema ready, takes the lease, decides the window."""

from __future__ import annotations

from typing import Any

from forecast_sync import clients
from forecast_sync.contracts.base import parse_payload
from forecast_sync.contracts.run import WatermarkRequest
from forecast_sync.lease.window import open_window
from forecast_sync.target.schema import ensure_schema
from forecast_sync.telemetry.logging import logged


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a WatermarkRequest and answer with a Window."""
    run = parse_payload(WatermarkRequest, event).run
    connection = clients.connection(run.neon_branch_id, run.run_id)
    ensure_schema(connection, clients.table())
    window = open_window(connection, clients.settings(), run, clients.workflow().is_alive)
    return window.model_dump(mode="json")
