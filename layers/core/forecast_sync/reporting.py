"""Reporting: what the status table and the ledger say about runs, as the API and CLI show it."""

from __future__ import annotations

from datetime import date
from typing import Any

from psycopg.rows import dict_row

from forecast_sync.adapters.postgres import Connection, statement, transaction

HISTORY_LIMIT = 50


def list_runs(connection: Connection) -> list[dict[str, Any]]:
    """The newest runs first, 50 at most, each with its counts."""
    return _rows(connection, "list_runs.sql", {"limit": HISTORY_LIMIT})


def describe_run(connection: Connection, run_id: str) -> dict[str, Any] | None:
    """A run's status and what its batches have committed so far; None when there is no such run.

    Shape: ``{"run_id", "status", "pages_begun", "rows": {"inserted", "updated", "unchanged",
    "rejected"}}``.
    """
    for row in _rows(connection, "describe_run.sql", {"run_id": run_id}):
        names = ("inserted", "updated", "unchanged", "rejected")
        return {
            "run_id": row["run_id"],
            "status": row["status"],
            "pages_begun": row["pages_begun"],
            "rows": {name: int(row[name]) for name in names},
        }
    return None


def _rows(connection: Connection, name: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows ready for JSON; none while the tables haven't been made."""
    with transaction(connection):
        cursor = connection.cursor(row_factory=dict_row)
        made = cursor.execute("SELECT to_regclass('forecast_sync_status') AS oid").fetchone()
        if made is None or made["oid"] is None:
            return []
        found = cursor.execute(statement(name), parameters).fetchall()
    return [{key: _json(value) for key, value in row.items()} for row in found]


def _json(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value
