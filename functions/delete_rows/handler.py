"""Delete rows: what should leave the target leaves it, or waits when it is too much."""

from __future__ import annotations

from forecast_sync import clients, deployed_tables
from forecast_sync.contracts.deletions import DeletionProgress, DeletionsRequest
from forecast_sync.delete.rows import delete_rows
from forecast_sync.task import RemainingMilliseconds, timed_task


@timed_task(DeletionsRequest)
def handler(
    request: DeletionsRequest, remaining_milliseconds: RemainingMilliseconds
) -> DeletionProgress:
    """Return whether all is deleted that should be, or another call must continue."""
    run = request.run
    return delete_rows(
        connection=clients.connection(run.neon_branch_id, run.run_id),
        storage=clients.storage(),
        table=deployed_tables.table_of(run),
        settings=deployed_tables.settings_of(run),
        request=request,
        remaining_milliseconds=remaining_milliseconds,
    )
