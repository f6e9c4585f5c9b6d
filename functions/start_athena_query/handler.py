"""Start Athena query: submits one of the run's two queries."""

from __future__ import annotations

from typing import Any

from forecast_sync import wiring
from forecast_sync.contracts import QueryRequest
from forecast_sync.extraction import start_query
from forecast_sync.logs import logged
from forecast_sync.payloads import parse_payload


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a QueryRequest and answer with a StartedQuery."""
    request = parse_payload(QueryRequest, event)
    started = start_query(
        wiring.athena(), wiring.storage(), wiring.table(), wiring.settings(), request
    )
    return started.model_dump(mode="json")
