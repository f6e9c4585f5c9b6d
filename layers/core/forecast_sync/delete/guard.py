"""The guard: how many rows may leave the target, and why more of them wait for somebody."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from forecast_sync.adapters.postgres import Cursor, statement
from forecast_sync.adapters.s3 import split_location
from forecast_sync.config import Settings
from forecast_sync.contracts.deletions import Deletions
from forecast_sync.contracts.run import Run
from forecast_sync.delete.relist import Relisting
from forecast_sync.tables import Table

ALWAYS_ALLOWED = 99
"""So many rows may be deleted within a day, whatever their share of the table."""

NAMED = 3


class Allowance(NamedTuple):
    """The target's rows, those that were deleted within a day, and how many more may be."""

    rows: int
    recorded: int
    allowed: int


def allow(table: Table, run: Run, rows: int, recorded: int) -> Allowance:
    """What ``max_delete_percent`` of the table, as it was a day ago, leaves of it."""
    percent = Fraction(str(table.target.max_delete_percent))
    share = int((rows + recorded) * percent / 100)
    allowed = max(share, ALWAYS_ALLOWED) - recorded
    return Allowance(rows, recorded, max(allowed, run.allow_deletes or 0, 0))


def find_reason(
    cursor: Cursor,
    table: Table,
    settings: Settings,
    run: Run,
    deletions: Deletions,
    relisting: Relisting,
) -> str | None:
    """Why the deletions that were found wait; None when they may go.

    What somebody has allowed goes although it is much, or a file can't be read; from a lake without
    one readable object nothing is concluded at all.
    """
    if not relisting.readable:
        return (
            f"{settings.data_location} lists no readable file, so a key that is missing there says "
            "nothing. Bring the files back, or correct the stack's DataPrefix."
        )
    is_allowed = run.allow_deletes is not None and deletions.found <= run.allow_deletes
    if not is_allowed and (holding := _find_holding(cursor, settings, deletions)):
        return (
            f"{holding} can't be read and may have these keys. Repair, remove or accept it: "
            "forecast-sync files --state quarantined."
        )
    if deletions.found > deletions.allowed:
        return _too_many(table, run, deletions)
    return None


def _too_many(table: Table, run: Run, deletions: Deletions) -> str:
    if run.allow_deletes is not None:
        return (
            f"{deletions.found:,} rows of {table.target.table} would be deleted, and the run "
            f"allows {run.allow_deletes:,}."
        )
    before = f" after {deletions.recorded:,} within the last day" if deletions.recorded else ""
    return (
        f"{deletions.found:,} of {deletions.rows:,} rows of {table.target.table} would be deleted"
        f"{before}, which is more than max_delete_percent = {table.target.max_delete_percent:g} "
        "allows."
    )


def _find_holding(cursor: Cursor, settings: Settings, deletions: Deletions) -> str | None:
    """The files that may have the keys and can't be read, in words."""
    values = {
        "table_name": settings.table_file,
        "lake": settings.data_location,
        "query_execution_id": deletions.query_execution_id,
        "has_missing": deletions.missing > 0,
        "limit": NAMED,
    }
    cursor.execute(statement("delete/find_holding_files.sql"), values)
    rows = cursor.fetchall()
    if not rows:
        return None
    more = rows[0][1] - len(rows)
    bucket, _ = split_location(settings.data_location)
    named = ", ".join(f"s3://{bucket}/{key}" for key, _ in rows)
    return named + (f" and {more:,} more" if more else "")
