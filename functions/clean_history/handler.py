"""Clean history: once a day, deletes what no redrive can still need."""

from __future__ import annotations

from forecast_sync import clients
from forecast_sync.contracts.events import CleaningRequest
from forecast_sync.record.retention import DeletedHistory, clean_history
from forecast_sync.target.schema import ensure_schema
from forecast_sync.task import task


@task(CleaningRequest)
def handler(request: CleaningRequest) -> DeletedHistory:
    """Delete old runs of one branch, and return how many rows that were."""
    connection = clients.connection_of(request.git_ref)
    ensure_schema(connection, clients.table())
    return clean_history(connection, clients.settings().history_days)
