"""The lease: one working run per table and database.

A run takes it over from a holder whose execution has ended. A run that another one has overtaken
never gets it again. Only a start or a redrive takes a lease: the run's row keeps the redrive count
at which it was taken or lost, and a call that is left over from before has a lower one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from psycopg import sql

from forecast_sync.adapters.postgres import (
    Connection,
    Cursor,
    has_table,
    statement,
    transaction,
)
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Run
from forecast_sync.errors import LeaseHeld, Superseded

LEASE_LOCK = 0x6673_0002

SURVEYING = "it surveyed the lake"


class Holder(NamedTuple):
    """The run that holds the lease; ``table_name`` is None if an older version has taken it."""

    run_id: str
    execution_arn: str
    neon_branch_id: str | None
    rerun_requested: bool
    source: str
    table_name: str | None


class OwnRow(NamedTuple):
    """A run's own row; if ``had_lease`` is false, it only says that the run failed to start.

    ``redrive_count`` is that of the execution when it last took or lost the lease; None in a row
    that an older version has written. ``ended_at`` is set while the run has ended.
    """

    status: str
    watermark: datetime
    had_lease: bool
    redrive_count: int | None
    ended_at: datetime | None


def lock_of(scope: str | None) -> sql.Composable:
    """The advisory lock of a table's lease; None is the lease of a stack with one table."""
    if scope is None:
        return sql.Literal(LEASE_LOCK)
    return sql.SQL("hashtextextended({}, {})").format(sql.Literal(scope), sql.Literal(LEASE_LOCK))


def lock_exclusively(cursor: Cursor, scope: str | None) -> None:
    """Wait until no batch of the table is being committed.

    None begins until the transaction ends. Batches of other tables continue.
    """
    cursor.execute(sql.SQL("SELECT pg_advisory_xact_lock({})").format(lock_of(scope)))
    # A function that was updated in the middle of a run meets the schema of the version before.
    cursor.execute(statement("lease/add_redrive_count.sql"))


def find_own_row(cursor: Cursor, run_id: str) -> OwnRow | None:
    """The run's row; None before it has taken the lease."""
    row = cursor.execute(statement("lease/find_run.sql"), {"run_id": run_id}).fetchone()
    return OwnRow(*row) if row else None


def find_table(connection: Connection, run_id: str) -> str | None:
    """The table that a run's row names; None without one, or without a schema."""
    with transaction(connection) as cursor:
        if not has_table(cursor, "forecast_sync_status"):
            return None
        row = cursor.execute(statement("lease/find_table.sql"), {"run_id": run_id}).fetchone()
        return row[0] if row else None


def find_holder(cursor: Cursor, run: Run, target: str | None = None) -> Holder | None:
    """The run that holds the lease that ``run`` needs, if any.

    ``target`` is the table in Postgres that a run without a row is going to write to.
    """
    values = {"scope": run.scope, "run_id": run.run_id, "target": target}
    row = cursor.execute(statement("lease/find_holder.sql"), values).fetchone()
    return Holder(*row) if row else None


def refuse_lost(cursor: Cursor, run: Run, lease_count: int | None, activity: str) -> None:
    """Raise ``LeaseHeld`` unless the run works under the redrive count that ``join`` returned.

    The transaction holds the lease's shared lock from here on, so the run keeps the lease in it.
    ``activity`` says in the message what the run was doing, such as ``SURVEYING``.
    """
    cursor.execute(sql.SQL("SELECT pg_advisory_xact_lock_shared({})").format(lock_of(run.scope)))
    own = find_own_row(cursor, run.run_id)
    if own is None or own.status != "running" or own.redrive_count != lease_count:
        raise lost(run, activity)


def lost(run: Run, activity: str) -> LeaseHeld:
    """The error of a run that has lost its lease; ``activity`` is the clause after *while*."""
    return LeaseHeld(
        f"Run {run.run_id} was recorded as ended while {activity}; only a redrive takes its "
        "lease again."
    )


def join(
    connection: Connection,
    run: Run,
    redrive_count: int | None,
    began_at: datetime | None = None,
) -> int | None:
    """Begin a call that writes: take the lease again after a redrive, or keep it.

    Returns the redrive count in the run's row, which each of the call's transactions compares: a
    later end or redrive changes it. Arguments and errors are those of ``resume``.
    """
    with transaction(connection) as cursor:
        own = find_own_row(cursor, run.run_id)
    if own and own.status == "running" and not _is_raised(own, redrive_count):
        return own.redrive_count
    return resume(connection, run, redrive_count, began_at)


def resume(
    connection: Connection,
    run: Run,
    redrive_count: int | None,
    began_at: datetime | None = None,
) -> int | None:
    """Take the lease again for a redriven run; the redrive count that its row then has.

    ``redrive_count`` is the caller's, None in the payload of an older version. A child execution
    that a redrive has started for the first time has a lower count than the run, then and whenever
    it is redriven: ``began_at``, when it was started or last redriven, shows that it is present.

    Raises ``Superseded`` when a later run has written since, when this run's row is gone, or when
    it has ended here otherwise; and ``LeaseHeld`` while another run works, and for a call that is
    left over from before the run ended.
    """
    with transaction(connection) as cursor:
        lock_exclusively(cursor, run.scope)
        resume_locked(cursor, run, redrive_count, began_at)
        own = require_row(find_own_row(cursor, run.run_id), run)
        refuse_ended(own, run)
        return own.redrive_count


def resume_locked(
    cursor: Cursor, run: Run, redrive_count: int | None, began_at: datetime | None = None
) -> None:
    """``resume`` inside a transaction that holds the exclusive lock; a run without a row passes."""
    own = find_own_row(cursor, run.run_id)
    refuse_overtaken(own.status if own else None, run)
    if own is None or own.status not in ("running", "failed"):
        return
    if not _is_present(own, redrive_count, began_at):
        raise LeaseHeld(
            f"Run {run.run_id} has ended or was redriven since this call began, so the call must "
            "not continue; only a redrive takes the run's lease again."
        )
    if own.status == "failed" and own.had_lease:
        _refuse_overtaken_since(cursor, run)
    if own.had_lease and (own.status == "failed" or _is_raised(own, redrive_count)):
        cursor.execute(
            statement("lease/resume_lease.sql"),
            {"run_id": run.run_id, "redrive_count": _next_count(own, redrive_count)},
        )


def _is_raised(own: OwnRow, redrive_count: int | None) -> bool:
    """Whether the caller was redriven since the run last took or lost its lease."""
    return redrive_count is not None and (
        own.redrive_count is None or redrive_count > own.redrive_count
    )


def _is_present(own: OwnRow, redrive_count: int | None, began_at: datetime | None) -> bool:
    """Whether the caller belongs to the run's present start or redrive, or to a newer one."""
    if redrive_count is None or own.redrive_count is None or _is_raised(own, redrive_count):
        return True
    if own.status == "running":
        return redrive_count == own.redrive_count
    return began_at is not None and own.ended_at is not None and began_at > own.ended_at


def _next_count(own: OwnRow, redrive_count: int | None) -> int | None:
    """The redrive count under which a caller takes the lease again.

    A child execution that a redrive has started for the first time knows only that there was one.
    """
    if redrive_count is None:
        return own.redrive_count
    if own.redrive_count is None:
        return redrive_count
    return max(redrive_count, own.redrive_count + 1)


def _refuse_overtaken_since(cursor: Cursor, run: Run) -> None:
    """Raise when another run has written, or has succeeded, since this one failed, or works now."""
    find_later_writer = statement("lease/find_later_writer.sql")
    later = cursor.execute(find_later_writer, {"run_id": run.run_id}).fetchone()
    if later:
        raise Superseded(
            f"Run {later[0]} has written or succeeded since {run.run_id} lost its lease, so this "
            f"one must not continue; start a new {run.sync_type} run instead."
        )
    holder = find_holder(cursor, run)
    if holder:
        works_on = run.scope or "this database"
        raise LeaseHeld(f"Run {holder.run_id} works on {works_on}; redrive when it has ended.")


def require_row(own: OwnRow | None, run: Run) -> OwnRow:
    """The row of a run that has had the lease.

    Raises ``Superseded`` when it is gone, or when the row is only that of a failure to start.
    """
    if own is None or not own.had_lease:
        raise Superseded(
            f"The database doesn't know that run {run.run_id} has begun: it was reset, restored "
            f"or replaced since; start a new {run.sync_type} run instead."
        )
    return own


def refuse_ended(own: OwnRow, run: Run) -> None:
    """Raise ``Superseded`` when a run of this name has ended here before."""
    if own.status != "running":
        raise Superseded(
            f"A run {run.run_id} has ended here before ({own.status}); start a new "
            f"{run.sync_type} run under another name."
        )


def is_same_lake(settings: Settings, source: str, table_name: str | None) -> bool:
    """Whether a run of this lake and table does what a run of this deployment would do."""
    return source == settings.data_location and table_name in (None, settings.table_file)


def evict(cursor: Cursor, holder: Holder, status: str, message: str) -> None:
    """End the lease of a holder that is gone; the caller holds its own exclusive lock.

    The holder may have begun when the stack had another number of tables, with another lock.
    """
    for scope in (None, holder.table_name):
        lock_exclusively(cursor, scope)
    cursor.execute(
        statement("lease/end_lease.sql"),
        {
            "run_id": holder.run_id,
            "status": status,
            "error_message": message,
            "redrive_count": None,
            "ended_at": None,
        },
    )


def inherits_rerun(settings: Settings, run: Run, holder: Holder) -> bool:
    """Whether the run that evicts ``holder`` has to start the rerun that was requested of it."""
    return (
        holder.rerun_requested
        and not is_copied(holder.neon_branch_id, run)
        and is_same_lake(settings, holder.source, holder.table_name)
    )


def end_dead_holder(
    cursor: Cursor, settings: Settings, holder: Holder, run: Run, is_alive: Callable[[str], bool]
) -> bool:
    """Evict ``holder`` if its execution has ended, or its row was copied by Neon's branching.

    The rerun that was requested of it passes on to the evicting run, see ``inherits_rerun``; that
    of another lake stays with its run, whose end or redrive starts it. False when the holder is
    alive. Raises what ``is_alive(execution_arn)`` raises.
    """
    if is_copied(holder.neon_branch_id, run):
        evict(cursor, holder, "superseded", "This row was copied from another Neon branch.")
        cursor.execute(statement("lease/clear_rerun.sql"), {"run_id": holder.run_id})
        return True
    if is_alive(holder.execution_arn):
        return False
    evict(cursor, holder, "failed", "The execution ended without a record.")
    if inherits_rerun(settings, run, holder):
        cursor.execute(statement("lease/clear_rerun.sql"), {"run_id": holder.run_id})
    return True


def is_copied(neon_branch_id: str | None, run: Run) -> bool:
    """Whether a row of this Neon branch was copied when the run's was created from it."""
    branches = {neon_branch_id, run.neon_branch_id}
    return None not in branches and len(branches) == 2


def refuse_overtaken(status: str | None, run: Run) -> None:
    """Raise ``Superseded`` when the ``status`` of the run's own row says that it was overtaken."""
    if status == "superseded":
        raise Superseded(
            f"Run {run.run_id} was overtaken; start a new {run.sync_type} run instead."
        )
