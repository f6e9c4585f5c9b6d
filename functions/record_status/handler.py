"""Record status: how a run ended, told by the workflow itself or by the rule for failures."""

from __future__ import annotations

from typing import Any

from forecast_sync import clients
from forecast_sync.contracts.base import parse_payload
from forecast_sync.contracts.result import RecordRequest
from forecast_sync.record.failure import record_failed_execution
from forecast_sync.record.outcome import record_success
from forecast_sync.telemetry.logging import logged


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a RecordRequest and answer with a RunResult, or take a status-change event."""
    workflow, settings = clients.workflow(), clients.settings()
    if event.get("source") == "aws.states":
        told = (clients.topic(), clients.told_failures())
        places = clients.of_run(event["detail"]["name"])
        return record_failed_execution(event["detail"], workflow, settings, *places, *told)
    request = parse_payload(RecordRequest, event)
    places = (clients.connection(request.run.neon_branch_id, request.run.run_id), workflow)
    return record_success(*places, clients.table(), settings, request).model_dump(mode="json")
