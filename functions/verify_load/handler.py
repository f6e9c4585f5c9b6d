"""Verify load: the profile (Athena) against the ledger (Postgres)."""

from __future__ import annotations

from forecast_sync import clients, deployed_tables
from forecast_sync.contracts.counts import Counts
from forecast_sync.contracts.result import VerifyRequest
from forecast_sync.task import task
from forecast_sync.verify.reconcile import verify_load


@task(VerifyRequest)
def handler(request: VerifyRequest) -> Counts:
    """Return the run's counts, which are the same on both sides."""
    return verify_load(
        connection=clients.connection(request.run.neon_branch_id, request.run.run_id),
        storage=clients.storage(),
        table=deployed_tables.table_of(request.run),
        settings=deployed_tables.settings_of(request.run),
        request=request,
    )
