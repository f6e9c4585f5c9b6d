"""Reporting: what the status table and the ledger say about runs, as the API and CLI show it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from psycopg import sql
from psycopg.rows import dict_row
from pydantic import Field

from forecast_sync.adapters.postgres import Connection, has_table, statement, transaction
from forecast_sync.composing import reject_value
from forecast_sync.contracts import SyncType
from forecast_sync.payloads import Model
from forecast_sync.tables import Table

HISTORY_LIMIT = 50
OUTCOMES = ("inserted", "updated", "unchanged", "rejected")

Status = Literal["running", "succeeded", "failed", "superseded", "dry_run"]


class RejectQuery(Model):
    """Which rejects are asked for; ``after`` is the content hash where the page before ended."""

    run_id: str | None = None
    reason: str | None = None
    all: bool = False
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class RunQuery(Model):
    """Which runs are asked for; ``after`` is the run where the page before ended."""

    status: Status | None = None
    sync_type: SyncType | None = None
    trigger: str | None = None
    after: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = HISTORY_LIMIT


def list_runs(connection: Connection, query: RunQuery = RunQuery()) -> dict[str, Any]:  # noqa: B008
    """A page of runs, the newest first, each with its counts.

    Shape: ``{"syncs": [...], "next": the run to go on after, or None}``.
    """
    runs = _rows(connection, "list_runs.sql", query.model_dump())
    return {"syncs": runs, "next": runs[-1]["run_id"] if len(runs) == query.limit else None}


def describe_run(connection: Connection, run_id: str) -> dict[str, Any] | None:
    """A run's status and what its batches have committed so far; None when there is no such run.

    Shape: ``{"run_id", "status", "error_message", "pages_begun", "rows": {"inserted", "updated",
    "unchanged", "rejected"}, "counts": Counts of a run that has finished, or None}``.
    """
    for row in _rows(connection, "describe_run.sql", {"run_id": run_id}):
        return {
            "run_id": row["run_id"],
            "status": row["status"],
            "error_message": row["error_message"],
            "pages_begun": row["pages_begun"],
            "rows": {name: int(row[name]) for name in OUTCOMES},
            "counts": None if row["counts"]["good"] is None else row["counts"],
        }
    return None


def list_rejects(connection: Connection, table: Table, query: RejectQuery) -> dict[str, Any]:
    """A page of rejects, the newest first, and all that were asked for by reason.

    Shape: ``{"rejects": [{"content_hash", "run_id", "last_run_id", "resolved_run_id",
    "source_file", "reason", "row_json", "rejected_at"}], "next": content hash or None,
    "reasons": [{"reason", "rows", "files", "example_file", "last_rejected_at", "first_date",
    "last_date", "undated"}]}``; ``last_run_id`` is the last full run that met the row again.
    """
    asked = query.model_dump()
    rejects = _rows(connection, "list_rejects.sql", asked)
    day = reject_value(table.source.date)
    return {
        "rejects": rejects,
        "next": rejects[-1]["content_hash"] if len(rejects) == query.limit else None,
        "reasons": _rows(connection, "group_rejects.sql", asked, day=day),
    }


def _rows(
    connection: Connection, name: str, parameters: dict[str, Any], **parts: sql.Composable
) -> list[dict[str, Any]]:
    """Rows ready for JSON; none while the tables haven't been made."""
    with transaction(connection) as plain:
        if not has_table(plain, "forecast_sync_rejects"):
            return []
        cursor = connection.cursor(row_factory=dict_row)
        found = cursor.execute(statement(name, **parts), parameters).fetchall()
    return [{key: _json(value) for key, value in row.items()} for row in found]


def _json(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value
