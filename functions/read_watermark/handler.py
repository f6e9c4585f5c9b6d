"""Read watermark: creates what the schema lacks, takes the lease, decides and lists the window."""

from __future__ import annotations

from forecast_sync import clients
from forecast_sync.contracts.run import WatermarkRequest, Window
from forecast_sync.lease.window import move_end, open_window
from forecast_sync.survey.objects import fix_sources
from forecast_sync.target.schema import ensure_schema
from forecast_sync.task import task


@task(WatermarkRequest)
def handler(request: WatermarkRequest) -> Window:
    """Return the window, or that the run coalesces with the holder of the lease."""
    run = request.run
    connection = clients.connection(run.neon_branch_id, run.run_id)
    table = clients.table()
    ensure_schema(connection, table)
    window = open_window(
        connection=connection,
        settings=clients.settings(),
        table=table,
        run=run,
        is_alive=clients.workflow().is_alive,
        redrive_count=request.redrive_count,
    )
    # The definition of an older version renews the queries alone, so their window has to stay.
    if window.outcome == "coalesced" or request.redrive_count is None:
        return window
    window = fix_sources(clients.storage(), clients.settings(), window)
    move_end(connection, run, window)
    return window
