"""Check branch: whether the database of a git ref's branch answers; it reads no table."""

from __future__ import annotations

from typing import Any

from forecast_sync import clients
from forecast_sync.diagnostics.inspect import BranchRequest, describe_server
from forecast_sync.task import task


@task(BranchRequest)
def handler(request: BranchRequest) -> dict[str, Any]:
    """Return the server's name and version."""
    return {"server": describe_server(clients.connection_of(request.git_ref))}
