"""Resolve branch: the execution input becomes a run."""

from __future__ import annotations

from forecast_sync import clients, deployed_tables
from forecast_sync.contracts.run import Run
from forecast_sync.resolve.run import ResolveRequest, resolve_run
from forecast_sync.task import task


@task(ResolveRequest)
def handler(request: ResolveRequest) -> Run:
    """Return the run, with everything that is decided once."""
    return resolve_run(
        neon=clients.neon(request.execution.run_id),
        settings=deployed_tables.settings(),
        request=request,
    )
