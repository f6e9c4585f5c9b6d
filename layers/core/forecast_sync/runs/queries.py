"""Which runs there were, and what one of them has committed, read from a branch's database."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, NamedTuple

from psycopg import sql
from psycopg.rows import dict_row
from pydantic import Field

from forecast_sync.adapters.postgres import Connection, has_table, statement, transaction
from forecast_sync.contracts.base import Model
from forecast_sync.contracts.counts import Counts
from forecast_sync.contracts.run import SyncType
from forecast_sync.lease import lease
from forecast_sync.runs.model import OUTCOMES, Rows, Status, Sync, Syncs
from forecast_sync.text.size_limits import fitting

HISTORY_LIMIT = 50
ERROR_CHARACTERS = 2000


class RunQuery(Model):
    """Which runs to list; ``after`` is the last run of the previous page."""

    status: Status | None = None
    sync_type: SyncType | None = None
    trigger: str | None = None
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = HISTORY_LIMIT
    table: str | None = None


class RecordedRun(NamedTuple):
    """What the database knows of a run; ``counts`` is None before the run has finished.

    ``definition`` and ``window_reason`` are None when an older version has recorded it.
    """

    status: Status
    pages_begun: int
    rows: Rows
    counts: Counts | None
    definition: str | None
    window_reason: str | None


def list_runs(connection: Connection, query: RunQuery = RunQuery()) -> Syncs:  # noqa: B008
    """A page of runs, newest first, each with its counts; fewer than ``limit`` when large."""
    parameters = {**query.model_dump(), "characters": ERROR_CHARACTERS}
    rows = fetch_rows(connection, "runs/list_runs.sql", parameters)
    page = fitting(rows)
    is_last = len(page) == len(rows) < query.limit
    return Syncs(
        syncs=[Sync.model_validate(row) for row in page],
        next=None if is_last else page[-1]["run_id"],
    )


def find_run(connection: Connection, run_id: str) -> RecordedRun | None:
    """What a run has committed so far, and how it ended; None when the database has no such run."""
    for row in fetch_rows(connection, "runs/find_run.sql", {"run_id": run_id}):
        is_finished = row["counts"]["good"] is not None
        return RecordedRun(
            status=row["status"],
            pages_begun=row["pages_begun"],
            rows=Rows.model_validate({name: int(row[name]) for name in OUTCOMES}),
            counts=Counts.model_validate(row["counts"]) if is_finished else None,
            definition=row["definition"],
            window_reason=row["window_reason"],
        )
    return None


def count_surveyed(connection: Connection, began_at: str, run_id: str) -> int | None:
    """How many objects the survey of a run that began then (ISO 8601) has judged so far."""
    with transaction(connection) as cursor:
        if not has_table(cursor, "forecast_sync_file"):
            return None
        count_them = statement("runs/count_surveyed.sql")
        row = cursor.execute(count_them, {"began_at": began_at, "run_id": run_id}).fetchone()
    return int(row[0]) if row else None


def find_later_run(connection: Connection, run_id: str) -> str | None:
    """The run that has written or succeeded since this one lost its lease, if any.

    A run that it names has overtaken this one, whose redrive would end as ``Superseded``.
    """
    with transaction(connection) as cursor:
        if not has_table(cursor, "forecast_sync_batch"):
            return None
        own = lease.find_own_row(cursor, run_id)
        if own is None or not own.had_lease or own.status == "running":
            return None
        find_later_writer = statement("lease/find_later_writer.sql")
        row = cursor.execute(find_later_writer, {"run_id": run_id}).fetchone()
    return str(row[0]) if row else None


def fetch_rows(
    connection: Connection, name: str, parameters: dict[str, Any], **parts: sql.Composable
) -> list[dict[str, Any]]:
    """The rows of a statement, with dates as ISO 8601; none before the tables exist."""
    with transaction(connection) as plain:
        if not has_table(plain, "forecast_sync_rejects"):
            return []
        cursor = connection.cursor(row_factory=dict_row)
        rows = cursor.execute(statement(name, **parts), parameters).fetchall()
    return [{column: _json(value) for column, value in row.items()} for row in rows]


def _json(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value
