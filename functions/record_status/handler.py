"""Record status: how a run ended, told by the workflow itself or by the rule for failures."""

from __future__ import annotations

from typing import Any

from forecast_sync import wiring
from forecast_sync.contracts import RecordRequest
from forecast_sync.failing import record_failed_execution
from forecast_sync.logs import logged
from forecast_sync.payloads import parse_payload
from forecast_sync.recording import record_success


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a RecordRequest and answer with a RunResult, or take a status-change event."""
    workflow, settings = wiring.workflow(), wiring.settings()
    if event.get("source") == "aws.states":
        told = (wiring.topic(), wiring.told_failures())
        places = wiring.of_run(event["detail"]["name"])
        return record_failed_execution(event["detail"], workflow, settings, *places, *told)
    request = parse_payload(RecordRequest, event)
    places = (wiring.connection(request.run.neon_branch_id, request.run.run_id), workflow)
    return record_success(*places, wiring.table(), settings, request).model_dump(mode="json")
