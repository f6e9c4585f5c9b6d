"""Resolve branch: the execution input becomes a run with its environment, branch and batch size."""

from __future__ import annotations

from typing import Any

from forecast_sync.adapters.neon import NeonClient
from forecast_sync.config import Settings
from forecast_sync.contracts.base import Payload
from forecast_sync.contracts.run import ExecutionIdentity, Run, SyncRequest
from forecast_sync.errors import InvalidInput
from forecast_sync.resolve.git_refs import map_git_ref


class ResolveRequest(Payload):
    """What Resolve branch gets: the execution's input as it is, and the execution's identity."""

    input: dict[str, Any]
    execution: ExecutionIdentity

    @classmethod
    def misfit(cls, faults: str) -> InvalidInput:
        """No earlier state has written the input: whoever started the execution has."""
        return InvalidInput(faults)


def resolve_run(
    neon: NeonClient | None,
    settings: Settings,
    request: ResolveRequest,
    *,
    has_ended: bool = False,
) -> Run:
    """Decide everything about a run that is decided once, at its start.

    Without ``neon`` one database serves every branch. The table of a run that ``has_ended`` may be
    none of the stack's by now. Raises ``InvalidInput``, ``BranchNotMapped``, and what the Neon API
    raises.
    """
    sync = SyncRequest.parse(request.input)
    is_stray = has_ended and (sync.table or settings.has_several_tables)
    table = sync.table if is_stray else settings.require_table(sync.table)
    mapping = map_git_ref(sync.git_ref, settings.environment)
    return Run(
        **request.execution.model_dump(),
        trigger=sync.trigger,
        sync_type=sync.sync_type,
        date_from=sync.date_from,
        date_to=sync.date_to,
        dry_run=sync.dry_run,
        batch_size=sync.batch_size or settings.batch_size,
        verify_checksum=settings.verify_checksum,
        git_ref=mapping.git_ref,
        environment=mapping.environment,
        neon_branch=mapping.neon_branch,
        neon_branch_id=neon.find_branch(mapping.neon_branch) if neon else None,
        table=table,
        scope=table if settings.has_several_tables else None,
        allow_deletes=sync.allow_deletes,
    )
