"""Deletes the runs, and their ledger, that neither a redrive nor a watermark can still need."""

from __future__ import annotations

from collections.abc import Sequence

from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.contracts.base import Model
from forecast_sync.lease import lease


class DeletedHistory(Model):
    """How many rows of the runs' history and of the ledger were deleted."""

    runs: int
    batches: int


def clean_history(connection: Connection, days: int, tables: Sequence[str] = ()) -> DeletedHistory:
    """Delete the runs that ended more than ``days`` ago, and their rows of the ledger.

    ``days`` is at least 15: a redrive within its 14 days needs the ledger of its own run and of
    every later one. The run that the watermark comes from is kept, however old it is. ``tables``
    are those of a stack with several.
    """
    with transaction(connection) as cursor:
        for scope in (None, *sorted(tables)):
            lease.lock_exclusively(cursor, scope)
        row = cursor.execute(statement("record/clean_history.sql"), {"days": days}).fetchone()
    runs, batches = row or (0, 0)
    return DeletedHistory(runs=runs, batches=batches)
