"""Merging: staged rows into the target; written is only what the target lacks or has otherwise."""

from __future__ import annotations

from typing import NamedTuple

from forecast_sync.errors import BatchConflict
from forecast_sync.lease.lease import Rows
from forecast_sync.load.statements import compose_batch
from forecast_sync.tables import Table

SMALL_BATCH = 250_000
"""Up to this many rows the planner isn't free. Left alone, it reads the whole target for each small
batch when the target has grown since it was analyzed, as it does in a first load."""

NEAR_FACTOR = 4
"""Reading a row next to a staged one costs about a quarter of looking one up by index."""

BY_INDEX = b"SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
BY_RANGE = b"SET LOCAL enable_seqscan = off"


class Comparison(NamedTuple):
    """Staged rows that the target lacks, that it has equal, and the sum of the latter's hashes.

    ``places`` says where in the stage the rows are that differ, when they are few.
    """

    missing: int
    unchanged: int
    checksum: int = 0
    places: str | None = None


class Merger:
    """Merges the batches of a page; what one of them finds in the target serves the next.

    A page holds all rows of some first keys (restaurants), so its batches look alike: either the
    target has few rows near them, which are read in one range, or many, which are looked up.
    """

    def __init__(self, table: Table, *, checksum: bool) -> None:
        self.statements = compose_batch(table, checksum=checksum)
        self._checksum = checksum
        self._guide: bytes | None = None

    def create_stage(self, cursor: Rows) -> None:
        """Make the table that a batch is copied into, and guide the planner as the page needs."""
        create_stage = self.statements.create_stage
        cursor.execute(b"; ".join((create_stage, self._guide)) if self._guide else create_stage)

    def compare(self, cursor: Rows, staged: int) -> Comparison:
        """How ``staged`` rows in the stage compare with the target; only reads."""
        if staged > SMALL_BATCH:
            if not self._has_rows(cursor):
                return Comparison(missing=staged, unchanged=0)
            return self._compare_by(cursor, self.statements.compare)
        if self._guide is None:
            near = self._count_near(cursor, NEAR_FACTOR * staged)
            if near == 0:
                return Comparison(missing=staged, unchanged=0)
            self._guide = BY_RANGE if near < NEAR_FACTOR * staged else BY_INDEX
            cursor.execute(self._guide)
        if self._guide == BY_RANGE:
            return self._compare_by(cursor, self.statements.compare_near)
        return self._compare_by(cursor, self.statements.compare)

    def merge(self, cursor: Rows, staged: int) -> dict[str, int]:
        """Insert and update what differs.

        Returns inserted, updated, unchanged and the checksum of what then stands in the target.
        Raises ``BatchConflict`` when these don't add up to ``staged``.
        """
        found = self.compare(cursor, staged)
        inserted, updated, checksum = self._write(cursor, found, staged)
        if inserted + updated + found.unchanged != staged:
            raise BatchConflict(
                f"Of {staged} rows {inserted} were inserted, {updated} updated and "
                f"{found.unchanged} found equal: another transaction or a trigger got in the way."
            )
        return {
            "inserted": inserted,
            "updated": updated,
            "unchanged": found.unchanged,
            "checksum": found.checksum + checksum,
        }

    def _write(self, cursor: Rows, found: Comparison, staged: int) -> tuple[int, int, int]:
        """Inserted, updated and the checksum of both."""
        if found.unchanged == staged:
            return 0, 0, 0
        if found.missing == staged:
            return self._insert(cursor)
        if found.places or staged <= SMALL_BATCH:
            cursor.execute(BY_INDEX)
        cursor.execute(self.statements.merge, {"places": found.places})
        inserted, updated, checksum = cursor.fetchone() or (0, 0, 0)
        return inserted, updated, int(checksum)

    def _insert(self, cursor: Rows) -> tuple[int, int, int]:
        cursor.execute(self.statements.insert)
        if not self._checksum:
            return cursor.rowcount, 0, 0
        inserted, checksum = cursor.fetchone() or (0, 0)
        return inserted, 0, int(checksum)

    def _has_rows(self, cursor: Rows) -> bool:
        cursor.execute(self.statements.has_rows)
        return bool((cursor.fetchone() or (True,))[0])

    def _count_near(self, cursor: Rows, limit: int) -> int:
        cursor.execute(self.statements.count_near, {"limit": limit})
        return int((cursor.fetchone() or (0,))[0])

    def _compare_by(self, cursor: Rows, compare: bytes) -> Comparison:
        cursor.execute(compare)
        missing, unchanged, checksum, places = cursor.fetchone() or (0, 0, 0, None)
        return Comparison(missing, unchanged, int(checksum), places)
