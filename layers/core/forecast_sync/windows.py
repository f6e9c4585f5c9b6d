"""The window: which objects a run looks at, decided once it holds the lease."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from psycopg import Cursor

from forecast_sync import leases
from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.contracts import Run, Window
from forecast_sync.errors import LeaseHeld
from forecast_sync.settings import Settings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def open_window(
    connection: Connection, settings: Settings, run: Run, is_alive: Callable[[str], bool]
) -> Window:
    """Take the lease and decide the window, or tell the live holder to run once more.

    Returns a window whose ``outcome`` is ``coalesced`` when a live holder was told. Raises
    ``LeaseHeld`` when a live holder keeps a run waiting that can't coalesce, and ``Superseded``
    for a redriven run that was overtaken.
    """
    with transaction(connection) as cursor:
        leases.lock_exclusively(cursor)
        leases.resume_locked(cursor, run)
        allowed = _count_connections(cursor)
        own = leases.find_own_row(cursor, run.run_id)
        if own is not None:
            return Window(low=own.low, high=own.high, connections=allowed)
        holder = leases.find_holder(cursor)
        if holder and not leases.end_dead_holder(cursor, holder, run, is_alive):
            return _coalesce(cursor, holder, run)
        return _take(cursor, settings, run).model_copy(update={"connections": allowed})


def _coalesce(cursor: leases.Rows, holder: leases.Holder, run: Run) -> Window:
    can_coalesce = run.sync_type == "incremental" and run.moves_watermark
    if not can_coalesce:
        raise LeaseHeld(
            f"Run {holder.run_id} works on this database and would leave out what this "
            f"{run.sync_type} run is for, so this one waits until it has ended."
        )
    cursor.execute(statement("request_rerun.sql"), {"run_id": holder.run_id})
    return Window(outcome="coalesced", high=run.started_at, holder=holder.run_id)


def _take(cursor: leases.Rows, settings: Settings, run: Run) -> Window:
    watermark = _read_watermark(cursor, settings)
    low = None
    if run.sync_type == "incremental" and watermark is not None:
        low = (watermark - settings.lookback).replace(tzinfo=UTC)
    window = Window(low=low, high=run.started_at)
    cursor.execute(
        statement("take_lease.sql"),
        {
            **run.model_dump(exclude={"date_from", "date_to"}),
            "source": settings.data_location,
            "watermark": watermark or EPOCH.replace(tzinfo=None),
            "low": window.low,
            "high": window.high,
        },
    )
    return window


def _count_connections(cursor: leases.Rows) -> int:
    row = cursor.execute(statement("count_connections.sql")).fetchone()
    return int(row[0]) if row else 0


def _read_watermark(cursor: Cursor[tuple[datetime | None]], settings: Settings) -> datetime | None:
    parameters = {"source": settings.data_location}
    row = cursor.execute(statement("read_watermark.sql"), parameters).fetchone()
    return row[0] if row else None
