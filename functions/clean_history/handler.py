"""Clean history: once a day, forgets what no redrive can need."""

from __future__ import annotations

from typing import Any

from forecast_sync import wiring
from forecast_sync.cleaning import clean_history
from forecast_sync.logs import logged
from forecast_sync.schema import ensure_schema


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """Take the schedule's event, or a ``git_ref``, and answer with the numbers of deleted rows."""
    connection = wiring.connection_of(event.get("git_ref"))
    ensure_schema(connection, wiring.table())
    return clean_history(connection, wiring.settings().history_days)._asdict()
