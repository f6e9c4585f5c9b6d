"""Read watermark: makes the schema ready, takes the lease, decides the window."""

from __future__ import annotations

from typing import Any

from forecast_sync import wiring
from forecast_sync.contracts import WatermarkRequest
from forecast_sync.logs import logged
from forecast_sync.payloads import parse_payload
from forecast_sync.schema import ensure_schema
from forecast_sync.windows import open_window


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a WatermarkRequest and answer with a Window."""
    run = parse_payload(WatermarkRequest, event).run
    connection = wiring.connection(run.neon_branch_id, run.run_id)
    ensure_schema(connection, wiring.table())
    window = open_window(connection, wiring.settings(), run, wiring.workflow().is_alive)
    return window.model_dump(mode="json")
