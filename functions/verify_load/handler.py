"""Verify load: the profile (Athena) against the ledger (Postgres)."""

from __future__ import annotations

from typing import Any

from forecast_sync import clients
from forecast_sync.contracts.base import parse_payload
from forecast_sync.contracts.result import VerifyRequest
from forecast_sync.telemetry.logging import logged
from forecast_sync.verify.reconcile import verify_load


@logged
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Take a VerifyRequest and answer with the run's Counts."""
    request = parse_payload(VerifyRequest, event)
    connection = clients.connection(request.run.neon_branch_id, request.run.run_id)
    counts = verify_load(connection, clients.storage(), clients.settings(), request)
    return counts.model_dump(mode="json")
