"""Report changes: what a dry run would have done becomes one document in S3."""

from __future__ import annotations

from typing import Any

from forecast_sync import wiring
from forecast_sync.change_report import ReportRequest, report_changes
from forecast_sync.changes import report_location
from forecast_sync.logs import logged
from forecast_sync.payloads import parse_payload


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a ReportRequest and answer with where the report is."""
    request = parse_payload(ReportRequest, event)
    run, settings = request.run, wiring.settings()
    connection = wiring.connection(run.neon_branch_id, run.run_id)
    places = (wiring.athena(), wiring.storage(), wiring.catalog())
    report_changes(connection, *places, wiring.table(), settings, request)
    return {"report": report_location(settings, run)}
