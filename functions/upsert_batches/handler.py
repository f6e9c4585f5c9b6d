"""Upsert batches: loads a page's lines into Postgres until the page or the time ends."""

from __future__ import annotations

from forecast_sync import clients, deployed_tables
from forecast_sync.contracts.page import UpsertProgress, UpsertRequest
from forecast_sync.load.loader import load_page
from forecast_sync.task import RemainingMilliseconds, timed_task


@timed_task(UpsertRequest)
def handler(
    request: UpsertRequest, remaining_milliseconds: RemainingMilliseconds
) -> UpsertProgress:
    """Return whether the page is done, or another call must continue it."""
    run = request.run
    return load_page(
        connection=clients.connection(run.neon_branch_id, run.run_id),
        stream=clients.storage().stream,
        table=deployed_tables.table_of(run),
        request=request,
        remaining_milliseconds=remaining_milliseconds,
        save_changes=clients.changes_writer(run),
    )
