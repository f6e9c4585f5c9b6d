"""Clean history: once a day, deletes what no redrive can still need."""

from __future__ import annotations

from datetime import UTC, datetime

from forecast_sync import clients, deployed_tables
from forecast_sync.contracts.events import CleaningRequest
from forecast_sync.record.retention import DeletedHistory, clean_history
from forecast_sync.survey.lists import forget_lists
from forecast_sync.target.schema import ensure_schema
from forecast_sync.task import task


@task(CleaningRequest)
def handler(request: CleaningRequest) -> DeletedHistory:
    """Delete old runs of one branch and expired lists; return how many rows the runs had."""
    tables = deployed_tables.settings().table_names
    for name in tables:
        settings, table = deployed_tables.settings_named(name), deployed_tables.table_named(name)
        forget_lists(clients.catalog(), settings, table, datetime.now(UTC))
    connection = clients.connection_of(request.git_ref)
    for name in tables:
        ensure_schema(connection, deployed_tables.table_named(name), "leave")
    return clean_history(connection, deployed_tables.settings().history_days, tables)
