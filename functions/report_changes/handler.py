"""Report changes: what a dry run would have changed becomes one document in S3."""

from __future__ import annotations

from forecast_sync import clients, deployed_tables
from forecast_sync.dry_run.report import ReportLocation, ReportRequest, report_changes
from forecast_sync.task import task


@task(ReportRequest)
def handler(request: ReportRequest) -> ReportLocation:
    """Write the report, and return where it is."""
    return report_changes(
        connection=clients.connection(request.run.neon_branch_id, request.run.run_id),
        athena=clients.athena(),
        storage=clients.storage(),
        catalog=clients.catalog(),
        table=deployed_tables.table_of(request.run),
        settings=deployed_tables.settings_of(request.run),
        request=request,
    )
