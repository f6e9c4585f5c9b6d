"""The window: which objects a run looks at, decided once it holds the lease.

It ends at the run's start, or later where another run has looked further: a run that has waited
for its lease, or is redriven before it had one, would else find rows older than the table's, and
write them over these.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Run, Window
from forecast_sync.errors import LeaseHeld
from forecast_sync.lease import lease

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def open_window(
    connection: Connection, settings: Settings, run: Run, is_alive: Callable[[str], bool]
) -> Window:
    """Take the lease and decide the window, or tell the live holder to run once more.

    Asked again, it decides anew: nothing has used the window of a call whose answer was lost.
    Returns a window whose ``outcome`` is ``coalesced`` when a live holder was told. Raises
    ``LeaseHeld`` when a live holder keeps a run waiting that can't coalesce, and ``Superseded``
    for a redriven run that was overtaken.
    """
    with transaction(connection) as cursor:
        lease.lock_exclusively(cursor)
        lease.resume_locked(cursor, run)
        watermark = _read_time(cursor, "lease/read_watermark.sql", settings)
        window = _decide(cursor, settings, run, watermark)
        times = {"low": window.low, "high": window.high}
        own = lease.find_own_row(cursor, run.run_id)
        if own is not None and own.had_lease:
            lease.refuse_ended(own, run)
            cursor.execute(statement("lease/move_window.sql"), {**times, "run_id": run.run_id})
            return window
        holder = lease.find_holder(cursor)
        if holder and not lease.end_dead_holder(cursor, holder, run, is_alive):
            return _coalesce(cursor, holder, run)
        cursor.execute(statement("lease/delete_failed_start.sql"), {"run_id": run.run_id})
        cursor.execute(
            statement("lease/take_lease.sql"),
            {
                **run.model_dump(exclude={"date_from", "date_to"}),
                **times,
                "source": settings.data_location,
                "watermark": watermark or EPOCH.replace(tzinfo=None),
                "rerun_requested": holder is not None and lease.hands_on_rerun(holder, run),
            },
        )
        return window


def _coalesce(cursor: lease.Rows, holder: lease.Holder, run: Run) -> Window:
    can_coalesce = run.sync_type == "incremental" and run.moves_watermark
    if not can_coalesce:
        raise LeaseHeld(
            f"Run {holder.run_id} works on this database and would leave out what this "
            f"{run.sync_type} run is for, so this one waits until it has ended."
        )
    cursor.execute(statement("lease/request_rerun.sql"), {"run_id": holder.run_id})
    return Window(outcome="coalesced", high=run.started_at, holder=holder.run_id)


def _decide(cursor: lease.Rows, settings: Settings, run: Run, watermark: datetime | None) -> Window:
    low = None
    if run.sync_type == "incremental" and watermark is not None:
        low = (watermark - settings.lookback).replace(tzinfo=UTC)
    reach = _read_time(cursor, "lease/find_latest_window_end.sql", settings)
    return Window(
        low=low,
        high=max(run.started_at, reach or run.started_at),
        connections=_count_connections(cursor),
    )


def _count_connections(cursor: lease.Rows) -> int:
    row = cursor.execute(statement("lease/count_connections.sql")).fetchone()
    return int(row[0]) if row else 0


def _read_time(cursor: lease.Rows, name: str, settings: Settings) -> datetime | None:
    """What a statement about this lake's runs answers: one time, or none."""
    row = cursor.execute(statement(name), {"source": settings.data_location}).fetchone()
    return row[0] if row else None
