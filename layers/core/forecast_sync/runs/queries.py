"""Reporting: what the status table and the ledger say about runs, as the API and CLI show it."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from psycopg import sql
from psycopg.rows import dict_row
from pydantic import Field

from forecast_sync.adapters.postgres import Connection, has_table, statement, transaction
from forecast_sync.contracts.base import Model
from forecast_sync.contracts.run import SyncType
from forecast_sync.errors import ForecastSyncError
from forecast_sync.tables import Table
from forecast_sync.target.expressions import NUL, reject_value
from forecast_sync.text.size_limits import (
    ROW_BYTES,
    VALUE_CHARACTERS,
    answer_bytes,
    fitting,
    shorten,
)

HISTORY_LIMIT = 50
ERROR_CHARACTERS = 2000
MOST_REASONS = 100
MOST_READ_BYTES = 128 * 1024 * 1024
"""Of rejected rows for one page of them, which takes some seconds."""

MOST_DATED_BYTES = 64 * 1024
PART_CHARACTERS = 2 * 1024 * 1024
PART_BYTES = 5_000_000
"""Of a row's part in an answer, where a character takes up to 14 of them."""

OUTCOMES = ("inserted", "updated", "unchanged", "rejected")

Status = Literal["running", "succeeded", "failed", "superseded", "dry_run"]


class RejectNotFound(ForecastSyncError):
    """There is no reject of this content hash."""


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
    """A page of runs, the newest first, each with its counts; fewer than asked for when large.

    Shape: ``{"syncs": [...], "next": the run to go on after, or None}``.
    """
    asked = {**query.model_dump(), "characters": ERROR_CHARACTERS}
    found = _rows(connection, "runs/list_runs.sql", asked)
    runs = fitting(found)
    is_last = len(runs) == len(found) < query.limit
    return {"syncs": runs, "next": None if is_last else runs[-1]["run_id"]}


def describe_run(connection: Connection, run_id: str) -> dict[str, Any] | None:
    """A run's status and what its batches have committed so far; None when there is no such run.

    Shape: ``{"run_id", "status", "error_message", "pages_begun", "rows": {"inserted", "updated",
    "unchanged", "rejected"}, "counts": Counts of a run that has finished, or None}``.
    """
    for row in _rows(connection, "runs/describe_run.sql", {"run_id": run_id}):
        return {
            "run_id": row["run_id"],
            "status": row["status"],
            "error_message": row["error_message"]
            and shorten(row["error_message"], ERROR_CHARACTERS),
            "pages_begun": row["pages_begun"],
            "rows": {name: int(row[name]) for name in OUTCOMES},
            "counts": None if row["counts"]["good"] is None else row["counts"],
        }
    return None


def list_rejects(connection: Connection, table: Table, query: RejectQuery) -> dict[str, Any]:
    """A page of rejects, the newest first, and all that were asked for by reason.

    A row of more than ``ROW_BYTES`` is shortened value by value; ``read_reject`` has it whole. A
    page has fewer rejects than asked for when they are large.

    Shape: ``{"rejects": [{"content_hash", "run_id", "last_run_id", "resolved_run_id",
    "source_file", "reason", "row_json", "row_bytes": its size in bytes, whole, "shortened",
    "rejected_at"}], "next": content hash or None,
    "reasons": [{"reason", "rows", "files", "example_file", "last_rejected_at", "first_date",
    "last_date", "undated"}]}``; ``last_run_id`` is the last full run that met the row again.
    """
    asked = query.model_dump()
    asked |= {"row_bytes": ROW_BYTES, "characters": VALUE_CHARACTERS, "groups": MOST_REASONS}
    asked["weight"] = MOST_READ_BYTES
    found = _rows(connection, "runs/list_rejects.sql", asked, nul=sql.Literal(NUL))
    page_rows = max((row.pop("page_rows") for row in found), default=0)
    rejects = fitting(found)
    is_last = len(rejects) == page_rows < query.limit
    day = _date_of_reject(table)
    return {
        "rejects": rejects,
        "next": None if is_last else rejects[-1]["content_hash"],
        "reasons": _rows(connection, "runs/group_rejects.sql", asked, day=day),
    }


def _date_of_reject(table: Table) -> sql.Composable:
    """The business date of a row as text; NULL for one that takes long to read."""
    return sql.SQL("CASE WHEN pg_column_size(row_json) <= {} THEN {} END").format(
        sql.Literal(MOST_DATED_BYTES), reject_value(table.source.date)
    )


def read_reject(connection: Connection, content_hash: str, offset: int) -> dict[str, Any] | None:
    """A part of a reject's row as it is kept; None when there is no such reject.

    Shape: ``{"content_hash", "row_bytes", "part": JSON text from character ``offset`` on, "next":
    the offset to go on at, or None}``; all parts together are the row, exactly.
    """
    asked = {"content_hash": content_hash, "offset": offset, "characters": PART_CHARACTERS}
    for row in _rows(connection, "runs/read_reject.sql", asked):
        part = row["part"]
        while answer_bytes(part) > PART_BYTES:
            part = part[: len(part) // 2]
        after = offset + len(part)
        return {
            "content_hash": content_hash,
            "row_bytes": row["row_bytes"],
            "part": part,
            "next": after if after < row["characters"] else None,
        }
    return None


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
