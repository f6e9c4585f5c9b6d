"""Read watermark: creates what the schema lacks, takes the lease and decides the window."""

from __future__ import annotations

from forecast_sync import clients, deployed_tables
from forecast_sync.contracts.run import WatermarkRequest, Window
from forecast_sync.lease.window import open_window, refuse_ended_execution, refuse_older_release
from forecast_sync.target.schema import ensure_schema
from forecast_sync.task import task


@task(WatermarkRequest)
def handler(request: WatermarkRequest) -> Window:
    """Return the window, or that the run coalesces with the holder of the lease."""
    run = request.run
    refuse_older_release(request)
    connection = clients.connection(run.neon_branch_id, run.run_id)
    table = deployed_tables.table_of(run)
    is_alive = clients.workflow().is_alive
    if ensure_schema(connection, table, "leave" if run.dry_run else "add"):
        refuse_ended_execution(run, is_alive)
    return open_window(
        connection=connection,
        settings=deployed_tables.settings_of(run),
        table=table,
        run=run,
        is_alive=is_alive,
        redrive_count=request.redrive_count,
    )
