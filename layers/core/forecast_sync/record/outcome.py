"""Recording: how a run ended, the watermark it earned, and the rerun that was asked for."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Literal

from psycopg.types.json import Json

from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.config import Settings
from forecast_sync.contracts.result import RecordRequest, RunResult
from forecast_sync.contracts.run import Run, Window
from forecast_sync.dry_run.changes import report_location
from forecast_sync.errors import Superseded
from forecast_sync.lease import lease
from forecast_sync.runs.uploads import Starter
from forecast_sync.tables import Table
from forecast_sync.target.expressions import reject_value
from forecast_sync.telemetry.metrics import measure_run
from forecast_sync.verify.reconcile import read_counts

EXECUTION_NAME_LIMIT = 80
MESSAGE_LIMIT = 2000


def record_success(
    connection: Connection,
    workflow: Starter,
    table: Table,
    settings: Settings,
    request: RecordRequest,
) -> RunResult:
    """Move the watermark, end the lease, and start the rerun that was asked for.

    Raises ``Superseded`` when the run was overtaken, or its row is gone, or the ledger isn't the
    verified one: a database that was copied with the run's row and then took the other's place.
    """
    run, profile = request.run, request.plan.profile
    counts, _ = read_counts(connection, request.queries.extract.query_execution_id, profile)
    if (counts.good, counts.rejected) != (profile.good, profile.rejected):
        raise Superseded(
            f"Run {run.run_id} was verified in another database: the ledger of this one has "
            f"{counts.good} rows and {counts.rejected} rejects, verified were {profile.good} and "
            f"{profile.rejected}; start a new {run.sync_type} run instead."
        )
    status: Literal["dry_run", "succeeded"] = "dry_run" if run.dry_run else "succeeded"
    watermark = _earned_watermark(run, request.window) if run.moves_watermark else None
    with transaction(connection) as cursor:
        lease.lock_exclusively(cursor)
        lease.resume_locked(cursor, run)
        values = {**counts.model_dump(), "warnings": Json(counts.warnings), "status": status}
        values |= {"run_id": run.run_id, "watermark": watermark}
        cursor.execute(statement("record/finish_run.sql"), values)
        _resolve_rejects(cursor, table, run)
        own = lease.require_row(lease.find_own_row(cursor, run.run_id), run)
    start_rerun(connection, workflow, run, request.redrive_count)
    result = RunResult(
        run_id=run.run_id,
        status=status,
        git_ref=run.git_ref,
        neon_branch=run.neon_branch,
        sync_type=run.sync_type,
        watermark=own.watermark.replace(tzinfo=UTC),
        counts=counts,
        report=report_location(settings, run) if run.dry_run else None,
    )
    measure_run(run, result)
    return result


def _earned_watermark(run: Run, window: Window) -> datetime:
    """The window's end but never past the run's start, as naive UTC."""
    return min(window.high, run.started_at).astimezone(UTC).replace(tzinfo=None)


def _resolve_rejects(cursor: lease.Rows, table: Table, run: Run) -> None:
    if run.sync_type != "full" or run.dry_run:
        return
    cursor.execute(
        statement("record/resolve_rejects.sql", day=reject_value(table.source.date)),
        {
            "run_id": run.run_id,
            "date_from": run.date_from and run.date_from.isoformat(),
            "date_to": run.date_to and run.date_to.isoformat(),
        },
    )


def record_failure(
    connection: Connection,
    workflow: Starter,
    settings: Settings,
    run: Run,
    message: str,
    redrive_count: int,
) -> None:
    """Put a failed run on record, end its lease, and start the rerun that was asked for.

    ``message`` begins with the error's name; a run that was overtaken is recorded as superseded.
    """
    status = "superseded" if message.startswith(f"{Superseded.__name__}:") else "failed"
    message = message[:MESSAGE_LIMIT]
    with transaction(connection) as cursor:
        lease.lock_exclusively(cursor)
        cursor.execute(
            statement("lease/end_lease.sql"),
            {"run_id": run.run_id, "status": status, "error_message": message},
        )
        if lease.find_own_row(cursor, run.run_id) is None:
            values = run.model_dump(exclude={"date_from", "date_to", "batch_size"})
            values |= {"source": settings.data_location, "error_message": message}
            cursor.execute(statement("record/record_failed_start.sql"), values)
    start_rerun(connection, workflow, run, redrive_count)


def start_rerun(
    connection: Connection, workflow: Starter, run: Run, redrive_count: int = 0
) -> None:
    """Start the rerun that was asked for; the flag stays until that has worked.

    A run ends once for each redrive, so each of its ends has a rerun of its own.
    """
    with transaction(connection) as cursor:
        row = cursor.execute(statement("lease/read_rerun.sql"), {"run_id": run.run_id}).fetchone()
    if not row or not row[0]:
        return
    workflow.start(
        rerun_name(run.run_id, redrive_count), {"git_ref": run.git_ref, "trigger": "rerun"}
    )
    with transaction(connection) as cursor:
        cursor.execute(statement("lease/clear_rerun.sql"), {"run_id": run.run_id})


def rerun_name(run_id: str, redrive_count: int = 0) -> str:
    """``<run>-rerun``, of a redriven run ``<run>-rerun-<redrive count>``.

    A digest stands for a name that Step Functions would find too long: reruns of reruns grow, and
    cutting their names would make two of them equal.
    """
    suffix = f"-rerun-{redrive_count}" if redrive_count else "-rerun"
    name = f"{run_id}{suffix}"
    if len(name) <= EXECUTION_NAME_LIMIT:
        return name
    return hashlib.sha256(run_id.encode()).hexdigest()[:32] + suffix
