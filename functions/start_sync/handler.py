"""Start sync: one run for the uploads that the queue has collected."""

from __future__ import annotations

from typing import Any

from forecast_sync import wiring
from forecast_sync.logs import logged
from forecast_sync.starting import start_for_uploads


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, str]:
    """Take a batch of queue messages and answer with the run's name."""
    message_ids = [record["messageId"] for record in event["Records"]]
    return {"run_id": start_for_uploads(wiring.workflow(), message_ids)}
