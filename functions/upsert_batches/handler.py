"""Upsert batches: carries a page's lines into Postgres until the page or the time ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forecast_sync import clients
from forecast_sync.contracts.base import parse_payload
from forecast_sync.contracts.page import UpsertRequest
from forecast_sync.load.loader import load_page
from forecast_sync.telemetry.logging import logged

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logged
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take an UpsertRequest and answer with an UpsertProgress."""
    request = parse_payload(UpsertRequest, event)
    connection = clients.connection(request.run.neon_branch_id, request.run.run_id)
    places = (connection, clients.storage().stream, clients.table())
    keep = clients.changes_keeper(request.run)
    progress = load_page(*places, request, context.get_remaining_time_in_millis, keep)
    return progress.model_dump(mode="json")
