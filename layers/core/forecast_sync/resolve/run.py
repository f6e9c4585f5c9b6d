"""Resolving: the execution input becomes a run with its environment, branch and batch size."""

from __future__ import annotations

from typing import Any, Protocol

from forecast_sync.config import Settings
from forecast_sync.contracts.base import Model
from forecast_sync.contracts.run import ExecutionIdentity, Run, SyncRequest
from forecast_sync.resolve.git_refs import map_git_ref


class BranchFinder(Protocol):
    """What resolving needs of Neon."""

    def find_branch(self, name: str) -> str:
        """The id of the branch of exactly this name."""
        ...


class ResolveRequest(Model):
    """What Resolve branch gets: the execution's input as it came, and its identity."""

    input: dict[str, Any]
    execution: ExecutionIdentity


def resolve_run(neon: BranchFinder | None, settings: Settings, request: ResolveRequest) -> Run:
    """Decide everything that a run needs to know from its start; ``neon`` None means one database.

    Raises ``InvalidInput``, ``BranchNotMapped``, and what the Neon API raises.
    """
    wanted = SyncRequest.parse(request.input)
    mapping = map_git_ref(wanted.git_ref, settings.environment)
    return Run(
        **request.execution.model_dump(),
        trigger=wanted.trigger,
        sync_type=wanted.sync_type,
        date_from=wanted.date_from,
        date_to=wanted.date_to,
        dry_run=wanted.dry_run,
        batch_size=wanted.batch_size or settings.batch_size,
        verify_checksum=settings.verify_checksum,
        git_ref=mapping.git_ref,
        environment=mapping.environment,
        neon_branch=mapping.neon_branch,
        neon_branch_id=neon.find_branch(mapping.neon_branch) if neon else None,
    )
