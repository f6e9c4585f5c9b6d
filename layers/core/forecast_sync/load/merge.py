"""Merges staged rows into the target, and writes only those that differ from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from forecast_sync.adapters.postgres import Cursor
from forecast_sync.errors import BatchConflict
from forecast_sync.load.statements import compose_batch
from forecast_sync.tables import Column, Table

SMALL_BATCH = 250_000
"""Up to this many rows, settings guide the planner. Left alone, it reads the whole target for each
small batch when the target has grown since it was analyzed, as during a first load."""

NEAR_FACTOR = 4
"""Reading a row near a staged one, in a range, costs about a quarter of an index look-up."""

BY_INDEX = b"SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
BY_RANGE = b"SET LOCAL enable_seqscan = off"


class Comparison(NamedTuple):
    """How staged rows compare with the target.

    ``missing`` rows aren't in the target; ``unchanged`` ones are equal there, and ``checksum`` is
    the sum of their hashes. ``differing`` is the stage's ctids of all others, when they are few.
    """

    missing: int
    unchanged: int
    checksum: int = 0
    differing: str | None = None


class Merger:
    """Merges the batches of a page; what the first one learns about the target serves the others.

    A page holds all rows of some values of the key's first column (restaurants), so its batches are
    alike. If the target has few rows with these values, they are read in one range; if it has many,
    each staged row is looked up by index.
    """

    def __init__(self, table: Table, *, checksum: bool, absent: Sequence[Column] = ()) -> None:
        self.statements = compose_batch(table, checksum=checksum, absent=absent)
        self._checksum = checksum
        self._guide: bytes | None = None

    def create_stage(self, cursor: Cursor) -> None:
        """Create the table that a batch is copied into, and guide the planner as the page needs."""
        create_stage = self.statements.create_stage
        cursor.execute(b"; ".join((create_stage, self._guide)) if self._guide else create_stage)

    def compare(self, cursor: Cursor, staged: int) -> Comparison:
        """Compare the ``staged`` rows of the stage with the target; only reads."""
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

    def merge(self, cursor: Cursor, staged: int) -> dict[str, int]:
        """Insert and update the rows that differ.

        Returns inserted, updated, unchanged, and the checksum of these rows in the target.
        Raises ``BatchConflict`` when they don't add up to ``staged``.
        """
        compared = self.compare(cursor, staged)
        inserted, updated, checksum = self._write(cursor, compared, staged)
        if inserted + updated + compared.unchanged != staged:
            raise BatchConflict(
                f"Of {staged} rows {inserted} were inserted, {updated} updated and "
                f"{compared.unchanged} found equal: another transaction or a trigger got in the "
                "way."
            )
        return {
            "inserted": inserted,
            "updated": updated,
            "unchanged": compared.unchanged,
            "checksum": compared.checksum + checksum,
        }

    def _write(self, cursor: Cursor, compared: Comparison, staged: int) -> tuple[int, int, int]:
        """Write what differs; inserted and updated rows, and the checksum of both."""
        if compared.unchanged == staged:
            return 0, 0, 0
        if compared.missing == staged:
            return self._insert(cursor)
        if compared.differing or staged <= SMALL_BATCH:
            cursor.execute(BY_INDEX)
        cursor.execute(self.statements.merge, {"differing": compared.differing})
        inserted, updated, checksum = cursor.fetchone() or (0, 0, 0)
        return inserted, updated, int(checksum)

    def _insert(self, cursor: Cursor) -> tuple[int, int, int]:
        cursor.execute(self.statements.insert)
        if not self._checksum:
            return cursor.rowcount, 0, 0
        inserted, checksum = cursor.fetchone() or (0, 0)
        return inserted, 0, int(checksum)

    def _has_rows(self, cursor: Cursor) -> bool:
        cursor.execute(self.statements.has_rows)
        return bool((cursor.fetchone() or (True,))[0])

    def _count_near(self, cursor: Cursor, limit: int) -> int:
        cursor.execute(self.statements.count_near, {"limit": limit})
        return int((cursor.fetchone() or (0,))[0])

    def _compare_by(self, cursor: Cursor, compare: bytes) -> Comparison:
        cursor.execute(compare)
        missing, unchanged, checksum, differing = cursor.fetchone() or (0, 0, 0, None)
        return Comparison(missing, unchanged, int(checksum), differing)
