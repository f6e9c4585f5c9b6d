"""Cleaning: forgets the runs, and their ledger, that nothing needs any more."""

from __future__ import annotations

from typing import NamedTuple

from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.lease import lease


class Forgotten(NamedTuple):
    """How many rows were deleted."""

    runs: int
    batches: int


def clean_history(connection: Connection, days: int) -> Forgotten:
    """Delete the runs that ended more than ``days`` ago, and the ledger rows of these runs.

    ``days`` is at least 15: a redrive within its 14 days needs the ledger of its own run and of
    every later one. What the watermark stands on is kept, however old it is.
    """
    with transaction(connection) as cursor:
        lease.lock_exclusively(cursor)
        row = cursor.execute(statement("record/clean_history.sql"), {"days": days}).fetchone()
    return Forgotten(*row) if row else Forgotten(0, 0)
