"""Plan pages: the result manifest becomes the pages file."""

from __future__ import annotations

from forecast_sync import clients, deployed_tables
from forecast_sync.contracts.page import Plan, PlanRequest
from forecast_sync.plan.pages import plan_pages
from forecast_sync.task import task


@task(PlanRequest)
def handler(request: PlanRequest) -> Plan:
    """Write the pages file, and return where it is and what the load must add up to."""
    return plan_pages(
        athena=clients.athena(),
        storage=clients.storage(),
        table=deployed_tables.table_of(request.run),
        settings=deployed_tables.settings_of(request.run),
        request=request,
    )
