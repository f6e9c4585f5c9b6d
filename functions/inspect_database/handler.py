"""Inspect database: answers an operator's questions about a branch's database; changes nothing."""

from __future__ import annotations

from typing import Any

from forecast_sync import clients, deployed_tables
from forecast_sync.diagnostics.inspect import InspectRequest, inspect
from forecast_sync.task import task


@task(InspectRequest, log_answer=False)
def handler(request: InspectRequest) -> dict[str, Any]:
    """Return the answer to the request's question; it may hold values of rows."""
    return inspect(
        connection=clients.connection_of(request.git_ref),
        storage=clients.storage(),
        catalog=clients.catalog(),
        table=deployed_tables.table_named(request.table),
        settings=deployed_tables.settings_named(request.table),
        request=request,
    )
