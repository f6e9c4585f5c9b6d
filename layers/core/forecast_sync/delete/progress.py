"""How far a run's deletions have come, which the run's row keeps."""

from __future__ import annotations

from datetime import datetime

from psycopg.types.json import Jsonb

from forecast_sync.adapters.postgres import Cursor, statement
from forecast_sync.contracts.deletions import Deletions


def read_deletions(cursor: Cursor, run_id: str, query_execution_id: str) -> Deletions | None:
    """How far the deletions of a query have come; None when the run hasn't looked for any."""
    row = cursor.execute(statement("delete/read_progress.sql"), {"run_id": run_id}).fetchone()
    deletions = Deletions.model_validate(row[0]) if row and row[0] else None
    is_same = deletions is not None and deletions.query_execution_id == query_execution_id
    return deletions if is_same else None


def read_decided_at(cursor: Cursor, run_id: str) -> datetime:
    """When the run's window was decided: rows that were written since are none of its business."""
    row = cursor.execute(statement("delete/read_progress.sql"), {"run_id": run_id}).fetchone()
    assert row is not None  # noqa: S101
    decided_at: datetime = row[1]
    return decided_at


def save_deletions(cursor: Cursor, run_id: str, deletions: Deletions) -> None:
    """Save how far they have come, in the transaction that brought them there."""
    values = {"deletions": Jsonb(deletions.model_dump(mode="json")), "run_id": run_id}
    cursor.execute(statement("delete/save_progress.sql"), values)
