"""Start sync: one run for the uploads that the queue has collected."""

from __future__ import annotations

from typing import Any

from forecast_sync import clients
from forecast_sync.runs.uploads import start_for_uploads
from forecast_sync.telemetry.logging import logged


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Take a batch of queue messages and answer with the run's name."""
    message_ids = [record["messageId"] for record in event["Records"]]
    return {"run_id": start_for_uploads(clients.workflow(), message_ids)}
