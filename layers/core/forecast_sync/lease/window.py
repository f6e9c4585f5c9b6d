"""Read watermark: takes the lease and decides the window, the objects that a run reads.

A window ends at the run's start or later: never before the end of the latest window that was
written. Otherwise a run that has waited for its lease, or is redriven before it had one, would
write older rows over the newer ones of the run before it.

A window begins before the watermark. The watermark belongs to the lake, the target and the table
file's definition: when one of them isn't what it was, the window is the whole lake.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from forecast_sync.adapters.postgres import Connection, Cursor, statement, transaction
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Run, Window
from forecast_sync.errors import LeaseHeld
from forecast_sync.lease import lease
from forecast_sync.lease.basis import find_reason, read_basis
from forecast_sync.tables import Table, definition_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DECIDED = {"low", "high", "definition", "reason"}
"""What a run's row keeps of its window."""


def open_window(
    connection: Connection,
    settings: Settings,
    table: Table,
    run: Run,
    is_alive: Callable[[str], bool],
    redrive_count: int | None = None,
) -> Window:
    """Take the lease and decide the window, or request a rerun from the live holder.

    A repeated call decides again, as does one whose inputs are outdated: if the answer of the first
    was lost, nothing has used its window.
    Returns a window whose ``outcome`` is ``coalesced`` when a rerun was requested. Raises
    ``LeaseHeld`` when a live holder keeps a run waiting that can't coalesce, and ``Superseded``
    for a redriven run that was overtaken. ``is_alive(execution_arn)`` asks Step Functions;
    ``redrive_count`` is the execution's, None in the payload of an older version.
    """
    with transaction(connection) as cursor:
        lease.lock_exclusively(cursor)
        lease.resume_locked(cursor, run, redrive_count)
        watermark = _read_time(cursor, "lease/read_watermark.sql", settings)
        window = _decide_window(cursor, settings, table, run, watermark)
        decided = window.model_dump(include=DECIDED)
        own = lease.find_own_row(cursor, run.run_id)
        if own is not None and own.had_lease:
            lease.refuse_ended(own, run)
            cursor.execute(statement("lease/replace_window.sql"), {**decided, "run_id": run.run_id})
            return window
        holder = lease.find_holder(cursor)
        if holder and not lease.end_dead_holder(cursor, holder, run, is_alive):
            return _coalesce(cursor, holder, run)
        cursor.execute(statement("lease/delete_failed_start.sql"), {"run_id": run.run_id})
        cursor.execute(
            statement("lease/take_lease.sql"),
            {
                **run.model_dump(),
                **decided,
                "source": settings.data_location,
                "watermark": watermark or EPOCH.replace(tzinfo=None),
                "rerun_requested": holder is not None and lease.inherits_rerun(run, holder),
                "redrive_count": redrive_count,
            },
        )
        return window


def move_end(connection: Connection, run: Run, window: Window) -> None:
    """Put the end that a window has been given on record; a run without the lease keeps its row.

    Raises ``LeaseHeld`` for such a run, which was stopped meanwhile.
    """
    decided = window.model_dump(include=DECIDED)
    with transaction(connection) as cursor:
        cursor.execute(statement("lease/replace_window.sql"), {**decided, "run_id": run.run_id})
        if not cursor.rowcount:
            raise LeaseHeld(f"Run {run.run_id} was recorded as ended while it decided its window.")


def _coalesce(cursor: Cursor, holder: lease.Holder, run: Run) -> Window:
    can_coalesce = run.sync_type == "incremental" and run.moves_watermark
    if not can_coalesce:
        raise LeaseHeld(
            f"Run {holder.run_id} works on this database and would leave out what this "
            f"{run.sync_type} run is for, so this one waits until it has ended."
        )
    cursor.execute(statement("lease/request_rerun.sql"), {"run_id": holder.run_id})
    return Window(outcome="coalesced", high=run.started_at, holder=holder.run_id)


def _decide_window(
    cursor: Cursor, settings: Settings, table: Table, run: Run, watermark: datetime | None
) -> Window:
    definition, low, reason = definition_of(table), None, None
    if run.sync_type == "incremental" and watermark is not None:
        basis = read_basis(cursor, settings.data_location, definition)
        reason = find_reason(basis, definition) if basis else None
    if run.sync_type == "incremental" and watermark is not None and reason is None:
        low = (watermark - settings.lookback).replace(tzinfo=UTC)
    latest_end = _read_time(cursor, "lease/find_latest_window_end.sql", settings)
    return Window(
        low=low,
        high=max(run.started_at, latest_end or run.started_at),
        connections=_count_connections(cursor),
        definition=definition,
        reason=reason,
    )


def _count_connections(cursor: Cursor) -> int:
    row = cursor.execute(statement("lease/count_connections.sql")).fetchone()
    return int(row[0]) if row else 0


def _read_time(cursor: Cursor, name: str, settings: Settings) -> datetime | None:
    """The time that a statement about this lake's runs returns, if any."""
    row = cursor.execute(statement(name), {"source": settings.data_location}).fetchone()
    return row[0] if row else None
