"""Read watermark: takes the lease and decides whether a run takes in what is new or the whole lake.

The watermark belongs to the lake, the target and the table file's definition: when one of them
isn't what it was, the window is the whole lake. Which objects are new, *Survey lake* finds out.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import sql

from forecast_sync.adapters.postgres import Connection, Cursor, statement, transaction
from forecast_sync.config import Settings
from forecast_sync.contracts.redrive import of_another_release
from forecast_sync.contracts.run import Run, WatermarkRequest, Window
from forecast_sync.errors import FullRunNeeded, LeaseHeld
from forecast_sync.lease import lease, waiting
from forecast_sync.lease.waiting import Waiting
from forecast_sync.tables import Table, definition_of
from forecast_sync.target.continuity import (
    LastSync,
    judge_continuity,
    read_last_sync,
    read_own_record,
    to_json,
)
from forecast_sync.text.sentences import end_sentence
from forecast_sync.text.size_limits import shorten

UNATTENDED = ("s3", "rerun")
"""Triggers of runs that uploads start."""

ERROR_CHARACTERS = 500

ADOPTION_MARGIN = timedelta(hours=6)
"""How far before its watermark an older version began to read again, because an object that is
uploaded in parts carries the time at which its upload began."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DECIDED = {"low", "high", "definition", "reason"}
"""What a run's row keeps of its window."""


def refuse_older_release(request: WatermarkRequest) -> None:
    """Raise ``Superseded`` for an execution whose state machine has no *Survey lake*."""
    if request.renewal is None:
        raise of_another_release(request.run, "surveyed no lake")


def refuse_ended_execution(run: Run, is_alive: Callable[[str], bool]) -> None:
    """Raise ``LeaseHeld`` for a run that was stopped before there was a table to record that in.

    Called once the tables are there: whoever records the end of a run from now on finds them.
    """
    if not is_alive(run.execution_arn):
        raise LeaseHeld(
            f"Run {run.run_id} has ended since this call began, so the call must not continue; "
            "only a redrive takes the run's lease."
        )


def open_window(
    connection: Connection,
    settings: Settings,
    table: Table,
    run: Run,
    is_alive: Callable[[str], bool],
    redrive_count: int | None = None,
) -> Window:
    """Take the lease and decide the window, or request a rerun from whichever run is ahead.

    A repeated call decides again, as does one whose inputs are outdated: if the answer of the first
    was lost, nothing has used its window.
    Returns a window whose ``outcome`` is ``coalesced`` when a rerun was requested. Raises
    ``LeaseHeld`` when a live holder, or a run that has waited longer, keeps a run waiting that
    can't coalesce, and ``Superseded`` for a redriven run that was overtaken.
    ``is_alive(execution_arn)`` asks Step Functions; ``redrive_count`` is the execution's, None in
    the payload of an older version.

    Raises ``FullRunNeeded`` when an upload would make the whole lake be read again, although a run
    that did so has failed since the last success.
    """
    with transaction(connection) as cursor:
        lease.lock_exclusively(cursor, run.scope)
        outcome = _open(cursor, settings, table, run, is_alive, redrive_count)
    # Raised after the commit, so that the run keeps its place in the queue.
    if isinstance(outcome, LeaseHeld):
        raise outcome
    return outcome


def _open(
    cursor: Cursor,
    settings: Settings,
    table: Table,
    run: Run,
    is_alive: Callable[[str], bool],
    redrive_count: int | None,
) -> Window | LeaseHeld:
    lease.resume_locked(cursor, run, redrive_count)
    if run.scope and settings.adopts_unnamed:
        target = sql.Identifier(table.target.table)
        values = {"scope": run.scope, "source": settings.data_location}
        cursor.execute(statement("lease/name_table.sql", target=target), values)
    watermark = _read_time(cursor, "lease/read_watermark.sql", settings)
    own = lease.find_own_row(cursor, run.run_id)
    if own is not None and own.had_lease:
        lease.refuse_ended(own, run)
        window, decided = _decide(cursor, settings, table, run, watermark)
        cursor.execute(statement("lease/replace_window.sql"), {**decided, "run_id": run.run_id})
        return window
    holder = lease.find_holder(cursor, run, table.target.table)
    if holder and not lease.end_dead_holder(cursor, settings, holder, run, is_alive):
        return _coalesce_or_wait(cursor, settings, holder, run)
    first, inherits_rerun = waiting.find_next(cursor, settings, run, is_alive)
    if first:
        if inherits_rerun:
            waiting.request_rerun(cursor, first.run_id)
        return _coalesce_or_wait(cursor, settings, first, run)
    if holder and lease.inherits_rerun(settings, run, holder):
        inherits_rerun = True
    if waiting.leave(cursor, run.run_id):
        inherits_rerun = True
    window, decided = _decide(cursor, settings, table, run, watermark, starts=True)
    cursor.execute(statement("lease/delete_failed_start.sql"), {"run_id": run.run_id})
    cursor.execute(
        statement("lease/take_lease.sql"),
        {
            **run.model_dump(),
            **decided,
            "rerun_requested": inherits_rerun,
            "redrive_count": redrive_count,
        },
    )
    return window


def record_window(cursor: Cursor, run: Run, window: Window) -> None:
    """Put what the survey has made of a window on record.

    Raises ``LeaseHeld`` for a run without the lease, which was stopped meanwhile.
    """
    values = window.model_dump(include={"low", "high", "reason"})
    cursor.execute(statement("lease/record_window.sql"), {**values, "run_id": run.run_id})
    if not cursor.rowcount:
        raise lease.lost(run, lease.SURVEYING)


def _coalesce_or_wait(
    cursor: Cursor, settings: Settings, ahead: lease.Holder | Waiting, run: Run
) -> Window | LeaseHeld:
    """Request a rerun from the run that is ahead, if that does what this run is for, or wait."""
    is_plain = run.sync_type == "incremental" and run.moves_watermark and not run.allow_deletes
    if is_plain and lease.is_same_lake(settings, ahead.source, ahead.table_name):
        if isinstance(ahead, Waiting):
            waiting.request_rerun(cursor, ahead.run_id)
        else:
            cursor.execute(statement("lease/request_rerun.sql"), {"run_id": ahead.run_id})
        waiting.leave(cursor, run.run_id)
        return Window(outcome="coalesced", high=run.started_at, holder=ahead.run_id)
    waiting.wait(cursor, settings, run)
    why = (
        f"would leave out what this {run.sync_type} run is for"
        if lease.is_same_lake(settings, ahead.source, ahead.table_name)
        else f"syncs another lake or table ({ahead.source})"
    )
    verb = "waits for" if isinstance(ahead, Waiting) else "works on"
    return LeaseHeld(
        f"Run {ahead.run_id} {verb} this database and {why}, so this one waits until it has ended."
    )


def _decide(
    cursor: Cursor,
    settings: Settings,
    table: Table,
    run: Run,
    watermark: datetime | None,
    *,
    starts: bool = False,
) -> tuple[Window, dict[str, Any]]:
    """The window, and what the run's row records about it; ``starts`` when there is no row yet."""
    definition = definition_of(table)
    last = read_last_sync(cursor, settings.data_location, definition, run.scope)
    own = None if starts else read_own_record(cursor, run.run_id)
    target, reason = judge_continuity(cursor, table, last, definition, own)
    if run.sync_type == "full":
        reason = None
    if reason and last and starts:
        _refuse_another_attempt(cursor, settings, run, last, reason)
    low, adopts_until = None, None
    if run.sync_type == "incremental" and watermark is not None and reason is None:
        low = watermark.replace(tzinfo=UTC)
        if last is not None and last.generation is None:
            adopts_until = low - ADOPTION_MARGIN
    latest_end = _read_time(cursor, "lease/find_latest_window_end.sql", settings)
    window = Window(
        low=low,
        high=max(run.started_at, latest_end or run.started_at),
        connections=_count_connections(cursor),
        definition=definition,
        reason=reason,
        adopts_until=adopts_until,
    )
    return window, {
        **window.model_dump(include=DECIDED),
        "target": to_json(target),
        "source": settings.data_location,
        "table_name": settings.table_file,
        "watermark": watermark or EPOCH.replace(tzinfo=None),
    }


def _refuse_another_attempt(
    cursor: Cursor, settings: Settings, run: Run, last: LastSync, reason: str
) -> None:
    """Uploads come all the time: after a failure they don't read the whole lake again and again."""
    if run.trigger not in UNATTENDED:
        return
    values = {
        "source": settings.data_location,
        "last_run_id": last.run_id,
        "scope": run.scope,
    }
    failed = cursor.execute(statement("lease/find_failed_full.sql"), values).fetchone()
    if failed:
        failure = end_sentence(shorten(failed[1] or "unknown", ERROR_CHARACTERS))
        raise FullRunNeeded(
            f"{reason} So the whole lake has to be read, and run {failed[0]} has failed in that: "
            f"{failure} Remove the cause and redrive that run, or start a full one by hand: "
            f"forecast-sync start{f' --table {run.scope}' if run.scope else ''} --sync-type full"
        )


def _count_connections(cursor: Cursor) -> int:
    row = cursor.execute(statement("lease/count_connections.sql")).fetchone()
    return int(row[0]) if row else 0


def _read_time(cursor: Cursor, name: str, settings: Settings) -> datetime | None:
    """The time that a statement about this lake's runs returns, if any."""
    values = {"source": settings.data_location, "scope": settings.scope}
    row = cursor.execute(statement(name), values).fetchone()
    return row[0] if row else None
