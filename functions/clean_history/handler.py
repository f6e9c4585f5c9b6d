"""Clean history: once a day, forgets what no redrive can need."""

from __future__ import annotations

from typing import Any

from forecast_sync import clients
from forecast_sync.record.retention import clean_history
from forecast_sync.target.schema import ensure_schema
from forecast_sync.telemetry.logging import logged


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """Take the schedule's event, or a ``git_ref``, and answer with the numbers of deleted rows."""
    connection = clients.connection_of(event.get("git_ref"))
    ensure_schema(connection, clients.table())
    return clean_history(connection, clients.settings().history_days)._asdict()
