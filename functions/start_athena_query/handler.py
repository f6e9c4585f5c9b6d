"""Start Athena query: submits one of the run's two queries."""

from __future__ import annotations

from forecast_sync import clients, deployed_tables
from forecast_sync.contracts.query import QueryRequest, StartedQuery
from forecast_sync.extract.queries import start_query
from forecast_sync.task import task


@task(QueryRequest)
def handler(request: QueryRequest) -> StartedQuery:
    """Return the submitted query, which is the same one for the same request."""
    return start_query(
        athena=clients.athena(),
        table=deployed_tables.table_of(request.run),
        settings=deployed_tables.settings_of(request.run),
        request=request,
    )
