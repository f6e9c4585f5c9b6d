"""Start Athena query: submits one of the run's two queries."""

from __future__ import annotations

from typing import Any

from forecast_sync import clients
from forecast_sync.contracts.base import parse_payload
from forecast_sync.contracts.query import QueryRequest
from forecast_sync.extract.queries import start_query
from forecast_sync.telemetry.logging import logged


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a QueryRequest and answer with a StartedQuery."""
    request = parse_payload(QueryRequest, event)
    started = start_query(
        clients.athena(), clients.storage(), clients.table(), clients.settings(), request
    )
    return started.model_dump(mode="json")
