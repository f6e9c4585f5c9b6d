"""Clean history: once a day, deletes what no redrive can still need."""

from __future__ import annotations

from datetime import UTC, datetime

from forecast_sync import clients
from forecast_sync.contracts.events import CleaningRequest
from forecast_sync.record.retention import DeletedHistory, clean_history
from forecast_sync.survey.lists import forget_lists
from forecast_sync.target.schema import ensure_schema
from forecast_sync.task import task


@task(CleaningRequest)
def handler(request: CleaningRequest) -> DeletedHistory:
    """Delete old runs of one branch and expired lists; return how many rows the runs had."""
    tables = clients.settings().table_names
    for name in tables:
        settings, table = clients.settings_of(name), clients.table(name)
        forget_lists(clients.catalog(), settings, table, datetime.now(UTC))
    connection = clients.connection_of(request.git_ref)
    for name in tables:
        ensure_schema(connection, clients.table(name), "leave")
    return clean_history(connection, clients.settings().history_days, tables)
