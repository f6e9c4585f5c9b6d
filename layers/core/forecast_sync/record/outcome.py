"""Records the outcome of a run in its database; a successful run also moves the watermark."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from psycopg.types.json import Json

from forecast_sync.adapters.postgres import (
    Connection,
    Cursor,
    has_table,
    statement,
    transaction,
)
from forecast_sync.adapters.stepfunctions import Workflow
from forecast_sync.config import Settings
from forecast_sync.contracts.counts import Counts
from forecast_sync.contracts.deletions import Deletions
from forecast_sync.contracts.redrive import of_another_release, refuse_other_definitions
from forecast_sync.contracts.result import RecordRequest, RunResult
from forecast_sync.contracts.run import Run, Window
from forecast_sync.delete.progress import read_deletions
from forecast_sync.dry_run.changes import report_location
from forecast_sync.errors import Superseded
from forecast_sync.lease import lease, waiting
from forecast_sync.lease.rerun import start_rerun
from forecast_sync.tables import Table, definition_of
from forecast_sync.target.continuity import refuse_lost_rows
from forecast_sync.target.expressions import reject_value
from forecast_sync.target.own_tables import STATUS
from forecast_sync.telemetry.metrics import measure_run
from forecast_sync.verify.ledger import read_counts

MESSAGE_LIMIT = 2000


def record_success(
    connection: Connection,
    workflow: Workflow,
    table: Table,
    settings: Settings,
    request: RecordRequest,
) -> RunResult:
    """Move the watermark, end the lease, and start the rerun if one was requested.

    It raises

    - ``InputsOutdated`` when the table file was replaced since the run began, or the target has
      lost rows since;
    - ``Superseded`` when the run was overtaken, when its row is gone, or when the ledger isn't the
      one that was verified: the database was copied with the run's row, and the copy has replaced
      the original.
    """
    run, window = request.run, request.window
    _refuse_other_definitions(table, request)
    counts = _read_verified_counts(connection, request)
    is_full = run.sync_type == "full" or window.low is None
    with transaction(connection) as cursor:
        lease.lock_exclusively(cursor, run.scope)
        lease.resume_locked(cursor, run, request.redrive_count)
        deletions = _require_deletions(cursor, request)
        if run.dry_run and deletions:
            counts = counts.model_copy(update={"deleted": deletions.planned})
        _refuse_lost_rows(cursor, table, run)
        cursor.execute(
            statement("record/finish_run.sql"),
            {
                **counts.model_dump(),
                "warnings": Json(counts.warnings),
                "deletes_deferred": deletions.deferred if deletions else 0,
                "status": _status(run),
                "run_id": run.run_id,
                "watermark": _earned_watermark(run, window),
                "is_full": is_full,
                "takes_in": run.moves_watermark and window.survey is not None,
            },
        )
        take_in(cursor, settings, run, window)
        _forget_deletions(cursor, settings, run, window)
        if is_full and not run.dry_run:
            _resolve_rejects(cursor, table, run)
        own = lease.require_row(lease.find_own_row(cursor, run.run_id), run)
        missing = _find_missing(cursor, settings, window)
    start_rerun(connection, workflow, settings, run, request.redrive_count or 0)
    result = RunResult(
        run_id=run.run_id,
        status=_status(run),
        git_ref=run.git_ref,
        neon_branch=run.neon_branch,
        sync_type=run.sync_type,
        table=run.table,
        watermark=own.watermark.replace(tzinfo=UTC),
        counts=counts,
        report=report_location(settings, run) if run.dry_run else None,
        definition=window.definition,
        window_reason=window.reason,
        quarantined=window.survey.quarantined if window.survey else 0,
        files=window.survey.files if window.survey else None,
        deletes_deferred=deletions.deferred if deletions else 0,
        deletes_deferred_reason=deletions.reason if deletions else None,
        **missing,
    )
    measure_run(run, result)
    return result


def _status(run: Run) -> Literal["dry_run", "succeeded"]:
    return "dry_run" if run.dry_run else "succeeded"


def _read_verified_counts(connection: Connection, request: RecordRequest) -> Counts:
    """The ledger's counts; raises ``Superseded`` unless they are those that were verified."""
    run, profile = request.run, request.plan.profile
    counts, _ = read_counts(connection, request.queries.extract.query_execution_id, profile)
    if (counts.good, counts.rejected) != (profile.good, profile.rejected):
        raise Superseded(
            f"Run {run.run_id} was verified in another database: the ledger of this one has "
            f"{counts.good} rows and {counts.rejected} rejects, verified were {profile.good} and "
            f"{profile.rejected}; start a new {run.sync_type} run instead."
        )
    return counts


def _require_deletions(cursor: Cursor, request: RecordRequest) -> Deletions | None:
    """What became of the run's deletions; None when it had none to look for.

    Raises ``Superseded`` when they weren't done: the run's state machine has no *Delete rows*.
    """
    if not request.plan.deletes:
        return None
    run, query = request.run, request.queries.extract.query_execution_id
    deletions = read_deletions(cursor, run.run_id, query)
    if deletions is None or not deletions.done:
        raise of_another_release(run, "deletes no rows")
    return deletions


def _forget_deletions(cursor: Cursor, settings: Settings, run: Run, window: Window) -> None:
    """Forget the list of deletions; dates that wait stay until a run has looked at them again."""
    cursor.execute(
        statement("delete/forget.sql"),
        {
            "table_name": settings.table_file,
            "lake": settings.data_location,
            "run_id": run.run_id,
            "takes_in": run.moves_watermark and window.survey is not None,
            "survey_id": window.survey.survey_id if window.survey else "",
        },
    )


def _refuse_lost_rows(cursor: Cursor, table: Table, run: Run) -> None:
    """Before the run ends: what becomes of the target after that is the next run's to find."""
    own = lease.find_own_row(cursor, run.run_id)
    if own is not None and own.status == "running" and not run.dry_run:
        refuse_lost_rows(cursor, table, run.run_id)


def _refuse_other_definitions(table: Table, request: RecordRequest) -> None:
    """Refuse inputs of another definition; a run that an older version has loaded has none."""
    definitions = (
        request.window.definition,
        request.queries.extract.definition,
        request.queries.profile.definition,
        request.plan.definition,
    )
    present = definition_of(table)
    refuse_other_definitions(present, *(made or present for made in definitions))


def take_in(cursor: Cursor, settings: Settings, run: Run, window: Window) -> None:
    """Mark the window's objects as loaded, in the transaction that moves the watermark."""
    if not run.moves_watermark or window.survey is None:
        return
    cursor.execute(
        statement("record/take_in.sql"),
        {
            "table_name": settings.table_file,
            "lake": settings.data_location,
            "survey_id": window.survey.survey_id,
            "run_id": run.run_id,
        },
    )


def _find_missing(cursor: Cursor, settings: Settings, window: Window) -> dict[str, Any]:
    """The fields of a result that say which files still hold the branch back."""
    if window.survey is None:
        return {}
    values = {"source": settings.data_location, "table_name": settings.table_file}
    row = cursor.execute(statement("runs/read_waiting_files.sql"), values).fetchone()
    count, since, oldest = row[:3] if row else (0, None, None)
    return {"waiting_files": count, "waiting_since": since, "waiting_file": oldest}


def _earned_watermark(run: Run, window: Window) -> datetime | None:
    """When the lake's listing began, as naive UTC; None if the watermark doesn't move.

    A run of an older version ended its window later: it gets no further than to its own start.
    """
    if not run.moves_watermark:
        return None
    reached = window.high if window.survey else min(window.high, run.started_at)
    return reached.astimezone(UTC).replace(tzinfo=None)


def _resolve_rejects(cursor: Cursor, table: Table, run: Run) -> None:
    cursor.execute(
        statement("record/resolve_rejects.sql", day=reject_value(table.source.date)),
        {
            "run_id": run.run_id,
            "scope": run.scope,
            "date_from": run.date_from and run.date_from.isoformat(),
            "date_to": run.date_to and run.date_to.isoformat(),
        },
    )


def record_failure(
    connection: Connection,
    workflow: Workflow,
    settings: Settings,
    run: Run,
    message: str,
    redrive_count: int,
    ended_at: str | None = None,
) -> bool:
    """Put a failed run on record, end its lease, and start the rerun if one was requested.

    ``message`` begins with the error's name; a run that was overtaken is recorded as superseded.
    ``redrive_count`` is how often the execution had been redriven when it ended, ``ended_at`` when
    that was (ISO 8601). A run that was redriven since keeps its row.

    False where no run has created the product's own tables yet: a run that was refused leaves no
    trace. *Read watermark*, which creates them, ensures that this run can no longer begin.
    """
    status = "superseded" if message.startswith(f"{Superseded.__name__}:") else "failed"
    message = message[:MESSAGE_LIMIT]
    end = {"redrive_count": redrive_count, "ended_at": ended_at}
    with transaction(connection) as cursor:
        if not has_table(cursor, STATUS):
            return False
        lease.lock_exclusively(cursor, run.scope)
        cursor.execute(
            statement("lease/end_lease.sql"),
            {"run_id": run.run_id, "status": status, "error_message": message, **end},
        )
        if lease.find_own_row(cursor, run.run_id) is None:
            cursor.execute(
                statement("record/record_failed_start.sql"),
                {
                    **run.model_dump(exclude={"date_from", "date_to", "batch_size"}),
                    "source": settings.data_location,
                    "table_name": settings.table_file,
                    "error_message": message,
                    **end,
                },
            )
        if has_table(cursor, "forecast_sync_waiting") and waiting.leave(cursor, run.run_id):
            cursor.execute(statement("lease/owe_rerun.sql"), {"run_id": run.run_id})
    start_rerun(connection, workflow, settings, run, redrive_count)
    return True


def record_stray_end(
    connection: Connection,
    run: Run,
    table_name: str,
    message: str,
    redrive_count: int,
    ended_at: str | None,
) -> None:
    """End the lease of a failed run of a table that the stack has no more; nothing runs it again.

    Arguments are those of ``record_failure``; ``table_name`` is the table in the run's row. A row
    that still worked would keep all tables' history forever.
    """
    with transaction(connection) as cursor:
        for scope in (None, table_name):
            lease.lock_exclusively(cursor, scope)
        cursor.execute(
            statement("lease/end_lease.sql"),
            {
                "run_id": run.run_id,
                "status": "failed",
                "error_message": message[:MESSAGE_LIMIT],
                "redrive_count": redrive_count,
                "ended_at": ended_at,
            },
        )
        waiting.leave(cursor, run.run_id)
        cursor.execute(statement("lease/clear_rerun.sql"), {"run_id": run.run_id})
