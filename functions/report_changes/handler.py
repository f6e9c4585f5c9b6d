"""Report changes: what a dry run would have done becomes one document in S3."""

from __future__ import annotations

from typing import Any

from forecast_sync import clients
from forecast_sync.contracts.base import parse_payload
from forecast_sync.dry_run.changes import report_location
from forecast_sync.dry_run.report import ReportRequest, report_changes
from forecast_sync.telemetry.logging import logged


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a ReportRequest and answer with where the report is."""
    request = parse_payload(ReportRequest, event)
    run, settings = request.run, clients.settings()
    connection = clients.connection(run.neon_branch_id, run.run_id)
    places = (clients.athena(), clients.storage(), clients.catalog())
    report_changes(connection, *places, clients.table(), settings, request)
    return {"report": report_location(settings, run)}
